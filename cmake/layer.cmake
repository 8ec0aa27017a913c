# gavel_layer(NAME DEPS a b LINK x y PCH <headers>): one static library gavel_NAME from the folder's *.cpp and,
# where the folder has *_test.cpp, one test program gavel_NAME_test that ctest runs.
set(GAVEL_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -Werror)

# Headers of dependencies never fail our warnings.
set(CMAKE_NO_SYSTEM_FROM_IMPORTED OFF)

function(gavel_flags target)
  target_compile_options(${target} PRIVATE ${GAVEL_WARNINGS})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${target} PUBLIC
    BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_SEPARATE_COMPILATION)
endfunction()

function(gavel_layer name)
  cmake_parse_arguments(ARG "" "" "DEPS;LINK;PCH" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  list(REMOVE_ITEM sources ${tests} ${CMAKE_CURRENT_SOURCE_DIR}/main.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(gavel_${name} STATIC ${sources})
  gavel_flags(gavel_${name})
  foreach(dep ${ARG_DEPS})
    target_link_libraries(gavel_${name} PUBLIC gavel_${dep})
  endforeach()
  target_link_libraries(gavel_${name} PUBLIC fmt::fmt ${ARG_LINK})
  if(ARG_PCH)
    target_precompile_headers(gavel_${name} PRIVATE ${ARG_PCH})
    # Without a timestamp inside, ccache can keep precompiled headers too.
    target_compile_options(gavel_${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  if(tests)
    add_executable(gavel_${name}_test ${tests})
    gavel_flags(gavel_${name}_test)
    target_link_libraries(gavel_${name}_test PRIVATE gavel_${name} GTest::gtest GTest::gmock GTest::gtest_main)
    add_test(NAME ${name} COMMAND gavel_${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endif()
endfunction()
