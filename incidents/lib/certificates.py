"""Certificates for a daemon that serves TLS, made by openssl."""

import ssl
import subprocess


def openssl(directory, *arguments):
    subprocess.run(
        ["openssl", *arguments],
        cwd=directory,
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


def make_authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
            "-subj", f"/CN={name}")


def make_certificate(directory, names, name="server", issuer="ca"):
    """NAME.pem for `names` ("DNS:localhost,IP:127.0.0.1") and NAME.key, below ISSUER.pem."""
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=gavel")
    (directory / "names").write_text(f"subjectAltName={names}\n")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem",
            "-CAkey", f"{issuer}.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "2",
            "-extfile", "names")
    (directory / f"{name}.key").chmod(0o600)


def make_daemon_certificates(directory, names):
    """chain.pem and server.key as daemon.tls takes them, below the authority of ca.pem; the
    authority of stranger.pem is nobody's. Returns the context of clients who trust ca.pem and go
    by address, as daemon.json has it."""
    make_authority(directory, "ca")
    make_authority(directory, "stranger")
    make_certificate(directory, names)
    chain = [(directory / name).read_text() for name in ("server.pem", "ca.pem")]
    (directory / "chain.pem").write_text("".join(chain))
    tls = ssl.create_default_context(cafile=directory / "ca.pem")
    tls.check_hostname = False
    return tls


def daemon_tls(directory):
    """The member of a policy's `daemon` that names them."""
    return f'tls: {{certificate: "{directory}/chain.pem", key: "{directory}/server.key"}}'
