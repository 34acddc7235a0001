"""The include check finds what is planted, and lets through what the design allows."""

import pytest

import includes


def findings(path: str, text: str) -> list[str]:
    return [str(f) for f in includes.check_text(path, text)]


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("base/text.cc", '"policy/message.h"'),
        ("policy/filter.cc", '"tunnel/target.h"'),
        ("policy/filter.cc", '"conf/config.h"'),
        ("tunnel/tls.cc", '"policy/message.h"'),
        ("tunnel/tls.cc", '"conf/uri.h"'),
        ("tunnel/io/loop.cc", '"tunnel/target.h"'),
        ("tunnel/ssh.cc", '"proxy/pool.h"'),
        ("tunnel/tcp.cc", "<uv.h>"),
        ("proxy/serve.cc", "<uv.h>"),
        ("proxy/serve.cc", "<toml++/toml.h>"),
        ("proxy/serve.cc", "<mbedtls/ssl.h>"),
        ("conf/config.cc", '"policy/filter.h"'),
        ("conf/config.cc", '"tunnel/tunnel.h"'),
        ("conf/config.cc", '"proxy/router.h"'),
        ("proxy/pool.cc", '"tests/unit/memory_stream.h"'),
        ("proxy/pool.cc", '"router.h"'),
        ("proxy/pool.cc", '"proxy/../tests/unit/catch.h"'),
    ],
)
def test_a_planted_violation_is_found(path: str, include: str) -> None:
    text = f"#include <vector>\n\n  #  include {include}  // why not\n"
    found = findings(path, text)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:3: ")


@pytest.mark.parametrize(
    ("path", "include"),
    [
        ("base/text.cc", '"base/text.h"'),
        ("policy/filter.h", '"base/bytes.h"'),
        ("tunnel/io/loop.cc", "<uv.h>"),
        ("tunnel/tls.cc", '"tunnel/io/stream.h"'),
        ("tunnel/tls.cc", "<mbedtls/ssl.h>"),
        ("conf/config.h", '"tunnel/target.h"'),
        ("conf/config.h", '"policy/rules.h"'),
        ("conf/config.cc", "<toml++/toml.h>"),
        ("proxy/pool.cc", '"policy/filter.h"'),
        ("tests/unit/proxy_pool_test.cc", '"tests/unit/memory_stream.h"'),
    ],
)
def test_what_the_design_allows_passes(path: str, include: str) -> None:
    assert findings(path, f"#include {include}\n") == []


def test_a_long_file_is_found_and_a_table_is_not() -> None:
    text = "\n" * (includes.LONGEST + 1)
    assert findings("base/long.cc", text) == ["base/long.cc:501: 501 lines; 500 are the limit"]
    assert findings("policy/procedures.def", text) == []
    assert findings("base/long.cc", "\n" * includes.LONGEST) == []
