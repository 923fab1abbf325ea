"""The editor and Pygments give each character of a text the same class."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from pygments.token import Error

from kmagic.language.pygments_lexer import DEFINITION, TOKEN_TYPES, ModelTextLexer

from ..model_texts import INVALID_TEXTS, SEARCH, VALID_TEXTS

PROGRAM = """
import { readFileSync } from 'node:fs';
const [module, definition] = process.argv.slice(2);
const { createTokenizer } = await import(module);
const tokenizer = createTokenizer(JSON.parse(readFileSync(definition, 'utf8')));
const classes = text => {
  const stack = tokenizer.start();
  return text.split('\\n').map(line => {
    const found = [];
    tokenizer.startLine(stack);
    for (let position = 0; position < line.length; ) {
      const { end, name } = tokenizer.next(line, position, stack);
      for (const _ of line.slice(position, end)) found.push(name);
      position = end;
    }
    return found;
  });
};
const texts = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(texts.map(classes)));
"""


def by_pygments(text: str) -> list[list[str]]:
    names = {kind: name for name, kind in TOKEN_TYPES.items()}
    lines: list[list[str]] = [[]]
    lexer = ModelTextLexer(stripnl=False, ensurenl=False)
    for _, kind, part in lexer.get_tokens_unprocessed(text):
        for char in part:
            if char == "\n":
                lines.append([])
            else:
                lines[-1].append("" if kind is Error else names.get(kind, ""))
    return lines


def test_both_interpreters_agree(node: str, root: Path, tmp_path: Path) -> None:
    texts = VALID_TEXTS | INVALID_TEXTS | {"search": SEARCH}
    texts |= {f"{name} half": text[: len(text) // 2] for name, text in texts.items()}
    definition = tmp_path / "highlighting.json"
    definition.write_text(json.dumps(DEFINITION), encoding="utf-8")
    program = tmp_path / "classes.mjs"
    program.write_text(PROGRAM, encoding="utf-8")
    module = root / "jupyter-config" / "labextension" / "static" / "token_rules.js"
    done = subprocess.run(
        [node, str(program), module.as_uri(), str(definition)],
        input=json.dumps(list(texts.values())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (name, text), found in zip(texts.items(), json.loads(done.stdout), strict=True):
        assert found == by_pygments(text), name
