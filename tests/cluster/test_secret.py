from __future__ import annotations

import pytest

from cluster.provenance import ROOT, sources
from cluster.secret import HIDDEN, hidden, secret_in, secret_obstacle

A = "a1B2" * 10
PLANTED = {
    "huggingface": f"hf_{A[:34]}",
    "github": f"ghp_{A[:36]}",
    "github, fine": f"github_pat_{A}",
    "gitlab": f"glpat-{A[:20]}",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "openai": f"sk-proj-{A}",
    "slack": f"xoxb-{A}",
}


@pytest.mark.parametrize("token", PLANTED.values(), ids=PLANTED)
@pytest.mark.parametrize("around", ["{}", "https://{}@github.com/a/b.git", "key: '{}'\n", "x={} y", '["{}"]'])
def test_a_token_is_known_by_its_looks(token, around):
    text = around.format(token)
    assert secret_in(text, {})
    assert token not in secret_obstacle("the recipe", text, {}), "the refusal does not tell it"
    assert token not in hidden(text, {})
    assert HIDDEN in hidden(text, {})


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "WANDB_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "my_password",
        "SLURM_JWT",
        "GH_PAT",
    ],
)
def test_the_value_of_a_secret_variable_is_a_secret_whatever_it_looks_like(name):
    environ = {name: "correct horse battery", "PATH": "/usr/bin"}
    told = secret_obstacle("the recipe", "data: correct horse battery staple", environ)
    assert told.startswith(f"the recipe holds the value of ${name}, ")
    assert hidden("a correct horse battery b", environ) == f"a {HIDDEN} b"
    assert not secret_in("data: correct horse", environ)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("mode: disabled", {"WANDB_API_KEY": "disabled"}),
        ("false", {"TOKENIZERS_PARALLELISM": "false"}),
        ("/home/a/.ssh/agent.sock", {"SSH_AUTH_SOCK": "/home/a/.ssh/agent.sock"}),
        ("https://huggingface.co/google/mt5-xl and me@example.org", {}),
        ("ssh://git@github.com/a/b, file:///a:b@c", {}),
        ("hf_cache, hf_hub, sk-learn, ghp_", {}),
        ("", {"HF_TOKEN": ""}),
    ],
)
def test_what_is_none_is_left_alone(text, environ):
    assert not secret_in(text, environ)
    assert hidden(text, environ) == text


def test_a_password_in_a_url_is_one():
    url = "https://ann:pa55word@example.org/a.git"
    assert secret_in(url, {}) == "a password in a URL"
    assert "pa55word" not in hidden(url, {})
    assert hidden(url, {}).endswith("@example.org/a.git")


def test_our_own_code_holds_none():
    assert [
        name for name, code in sources(ROOT).items() if secret_in(code.decode(errors="replace"), {})
    ] == []
