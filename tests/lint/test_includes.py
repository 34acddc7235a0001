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
        ("tunnel/ssh.cc", '"proxy/upstream/pool.h"'),
        ("tunnel/tcp.cc", "<uv.h>"),
        ("proxy/command/serve.cc", "<uv.h>"),
        ("proxy/command/serve.cc", "<toml++/toml.h>"),
        ("proxy/command/serve.cc", "<gnutls/gnutls.h>"),
        ("conf/config.cc", '"policy/filter.h"'),
        ("conf/config.cc", '"tunnel/tunnel.h"'),
        ("conf/config.cc", '"proxy/upstream/pool.h"'),
        ("proxy/upstream/pool.cc", '"tests/unit/memory_stream.h"'),
        ("proxy/upstream/pool.cc", '"router.h"'),
        ("proxy/upstream/pool.cc", '"proxy/client/client.h"'),
        ("proxy/record/log.cc", '"proxy/visitor/users.h"'),
        ("proxy/gate/gate.h", '"proxy/command/commands.h"'),
        ("proxy/stray.cc", '"proxy/record/log.h"'),
        ("proxy/upstream/pool.cc", '"proxy/../tests/unit/catch.h"'),
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
        ("tunnel/tls.cc", "<gnutls/gnutls.h>"),
        ("conf/config.h", '"tunnel/target.h"'),
        ("conf/config.h", '"policy/rules.h"'),
        ("conf/config.cc", "<toml++/toml.h>"),
        ("proxy/upstream/pool.cc", '"policy/filter.h"'),
        ("proxy/client/client.h", '"proxy/upstream/pool.h"'),
        ("proxy/main.cc", '"proxy/command/commands.h"'),
        ("tests/unit/proxy_pool_test.cc", '"tests/unit/memory_stream.h"'),
    ],
)
def test_what_the_design_allows_passes(path: str, include: str) -> None:
    assert findings(path, f"#include {include}\n") == []


def test_a_long_file_is_found_and_a_table_is_not() -> None:
    text = "\n" * (includes.LONGEST + 1)
    assert findings("base/long.cc", text) == [f"base/long.cc:{includes.LONGEST + 1}: {includes.LONGEST + 1} lines; {includes.LONGEST} are the limit"]
    assert findings("policy/procedures.def", text) == []
    assert findings("base/long.cc", "\n" * includes.LONGEST) == []


def test_a_class_is_whole_in_one_source() -> None:
    header = "namespace a {\nclass One {\n};\nclass Two;\nstruct Three final : public One {\n};\n}\n"
    texts = {
        "a/one.h": header,
        "a/one.cc": "void One::go() {\n}\nOne::One() {\n}\n",
        "a/parts.cc": "\nconst int& One::size(int x) {\n}\nvoid Two::go() {\n}\n",
        "a/own.cc": "class One {\n};\nvoid One::go() {\n}\nThree::Three() {\n}\n",
        "b/one.cc": "void One::go() {\n}\n",
    }
    assert [str(one) for one in includes.check_classes(texts)] == [
        "a/parts.cc:2: One is in a/one.cc too; a class that needs cutting is two classes"
    ]


def test_an_include_is_used() -> None:
    texts = {
        "a/one.h": "struct One {\n  int size = 0;\n};\n",
        "a/two.h": "using Two = int;\nusing b::Three;\nint call(int x);\n#define FOUR 4\n",
        "a/five.h": "inline constexpr int kFive = 5;\nenum class [[nodiscard]] Five {};\n",
        "a/one.cc": '#include "a/one.h"\n#include "a/five.h"\n// kFive\nint f() { return four; }\n',
        "a/two.cc": '#include "a/one.h"\n#include "a/two.h"\nThree g() { return made().size; }\n',
        "a/five.cc": '#include "a/two.h"\n#include "a/one.h"\nint h() { return kFive; }\n',
    }
    assert [str(one) for one in includes.check_used(texts)] == [
        'a/one.cc:2: nothing of "a/five.h" is used',
        'a/five.cc:1: nothing of "a/two.h" is used',
        'a/five.cc:2: nothing of "a/one.h" is used',
    ]


def test_an_arrow_that_nobody_follows_is_found() -> None:
    texts = {f"proxy/{room}/x.cc": "".join(f'#include "proxy/{other}/y.h"\n' for other in others) for room, others in includes.ROOMS.items()}
    assert not list(includes.check_arrows(texts))
    texts["proxy/probe/x.cc"] = '#include "proxy/upstream/y.h"\n'
    assert [one.text for one in includes.check_arrows(texts)] == ["proxy/probe may include proxy/xend/ and never does"]
