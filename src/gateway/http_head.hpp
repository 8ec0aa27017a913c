#pragma once
// The head of a request: parsed within the server's limits, turned into what endpoints see, and
// checked for what two readers could read differently. A proxy before Gavel and Gavel itself must
// see the same requests, the same caller and the same session, so whatever is ambiguous is refused
// and ends its connection.

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/result.hpp"
#include "gateway/http_server.hpp"

namespace gavel {

using HttpParser = boost::beast::http::request_parser<boost::beast::http::string_body>;

void set_limits(HttpParser& parser, const HttpServerOptions& options);

// Whether so many bytes may be given to the parser now. Beast (1.81) asserts that it sees the end
// of a chunked body whole or not at all; no body that goes on has fewer than its last five bytes
// left, so waiting for them waits for nothing that is not to come.
bool can_parse(const HttpParser& parser, std::size_t buffered);

// Everything but the body and the scheme. The parser's head must be complete; the views live as
// long as it does.
void read_head(const HttpParser& parser, HttpRequest& request);

enum class HttpVersion { http10, http11 };

// invalid_argument where the length of the body could be read in two ways (a Transfer-Encoding that
// is not just "chunked", or in HTTP/1.0, or with a Content-Length; lists of lengths), or where a
// header stands twice of which Gavel would read one.
Status check_head(const HttpRequest& request, HttpVersion version);

}  // namespace gavel
