"""A letter as a tree of blocks: from Markdown, to HTML and to plain text. The PDF is set from the same tree.

Blocks are what JSON can hold, so that they can be handed to Typst as data:

    {"t": "h", "level": 1, "c": [inline]}      {"t": "ul" | "ol", "items": [[block]]}
    {"t": "p", "c": [inline]}                  {"t": "table", "head": [[inline]], "rows": [[[inline]]]}
    {"t": "box", "c": [block]}

A paragraph in another language than the letter's has "lang", its two-letter code. A block after a line
`lix-exempt: reason` has "exempt", the reason: it is no words of ours, and is not measured (hub.letters.lint).
An inline is a string, {"t": "b" | "i", "c": [inline]}, {"t": "a", "href": str, "c": [inline]} or {"t": "br"}.

Values (names, kinds of case) never pass through the Markdown parser: the text that is parsed has slots, and the values
are put into the finished tree. So a value cannot become markup, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from hub.errors import SettingsError

Block = dict[str, Any]
Inline = str | dict[str, Any]

SLOT_OPEN, SLOT_CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f"{SLOT_OPEN}([0-9]+){SLOT_CLOSE}")
_EXEMPT = "lix-exempt:"
_MARKS = {"strong": "b", "em": "i"}

_markdown = MarkdownIt("zero").enable(
    ["heading", "list", "table", "blockquote", "emphasis", "link", "newline", "escape"]
)
# A slot in an address must come through as it is; the finished address is checked in _address.
# markdown-it-py's own way to set these is to assign them.
_markdown.normalizeLink = lambda url: url  # type: ignore[method-assign]
_markdown.validateLink = lambda url: True  # type: ignore[method-assign]


def slot(number: int) -> str:
    """What stands in the Markdown for value number `number`."""
    return f"{SLOT_OPEN}{number}{SLOT_CLOSE}"


def parse(markdown: str, values: Sequence[str] = ()) -> list[Block]:
    """The tree of a letter. Understands headings, paragraphs, lists, tables, block quotes (boxes), bold, italics,
    links and line breaks; anything else is plain text. Raises SettingsError for a link to anything but https,
    mailto or tel."""
    blocks: list[Block] = []
    open_lists: list[list[Any]] = [blocks]
    for token in _markdown.parse(markdown):
        match token.type:
            case "heading_open":
                open_lists[-1].append({"t": "h", "level": int(token.tag[1]), "c": []})
            case "paragraph_open":
                open_lists[-1].append({"t": "p", "c": []})
            # The parser's words, before values are in: no value can keep a paragraph from being measured.
            case "inline" if token.content.startswith(_EXEMPT) and len(open_lists) == 1:
                blocks[-1] = {"t": "exempt", "c": token.content.removeprefix(_EXEMPT).strip()}
            case "inline":
                _append_inline(open_lists[-1], _inline(token.children or [], values))
            case "bullet_list_open" | "ordered_list_open":
                items: list[Any] = []
                open_lists[-1].append({"t": "ul" if token.tag == "ul" else "ol", "items": items})
                open_lists.append(items)
            case "list_item_open":
                open_lists[-1].append([])
                open_lists.append(open_lists[-1][-1])
            case "blockquote_open":
                open_lists[-1].append({"t": "box", "c": []})
                open_lists.append(open_lists[-1][-1]["c"])
            case "table_open":
                rows: list[Any] = []
                open_lists[-1].append({"t": "table", "head": [], "rows": rows})
                open_lists.append(rows)
            case "tr_open":
                open_lists[-1].append([])
                open_lists.append(open_lists[-1][-1])
            case "bullet_list_close" | "ordered_list_close" | "list_item_close" | "blockquote_close" | "tr_close":
                open_lists.pop()
            case "table_close":
                open_lists.pop()
                table = open_lists[-1][-1]
                table["head"] = table["rows"].pop(0)
            case _:
                pass
    return _exempted(blocks) if any(block["t"] == "exempt" for block in blocks) else blocks


def _exempted(blocks: list[Block]) -> list[Block]:
    """The blocks without the lines that exempt the next from measuring, which then says why."""
    found: list[Block] = []
    reason: str | None = None
    for block in blocks:
        if block["t"] == "exempt":
            reason = block["c"]
            if not reason:
                raise SettingsError(f"{_EXEMPT} needs a reason; say why the next block is not to be measured")
        else:
            found.append(block if reason is None else block | {"exempt": reason})
            reason = None
    return found


def _append_inline(container: list[Any], content: list[Inline]) -> None:
    """Put the content into the heading or paragraph just opened, or into the table row as one more cell."""
    if container and isinstance(container[-1], dict) and container[-1]["t"] in ("h", "p") and not container[-1]["c"]:
        container[-1]["c"] = content
    else:
        container.append(content)


def _inline(tokens: list[Token], values: Sequence[str]) -> list[Inline]:
    content: list[Inline] = []
    stack: list[list[Inline]] = [content]
    for token in tokens:
        kind, _, edge = token.type.rpartition("_")
        if token.type == "text":
            _add_text(stack[-1], _filled(token.content, values))
        elif token.type == "softbreak":
            _add_text(stack[-1], " ")
        elif token.type == "hardbreak":
            stack[-1].append({"t": "br"})
        elif edge == "close":
            stack.pop()
        elif kind == "link":
            href = _address(str(token.attrGet("href")), values)
            node: dict[str, Any] = {"t": "a", "href": href, "c": []}
            if href:
                stack[-1].append(node)
            # Without an address the words stay, as plain text.
            stack.append(node["c"] if href else stack[-1])
        elif kind in _MARKS:
            node = {"t": _MARKS[kind], "c": []}
            stack[-1].append(node)
            stack.append(node["c"])
    return content


def _add_text(content: list[Inline], text: str) -> None:
    if content and isinstance(content[-1], str):
        content[-1] += text
    elif text:
        content.append(text)


def _filled(text: str, values: Sequence[str]) -> str:
    return _SLOT.sub(lambda match: values[int(match[1])], text)


def _address(href: str, values: Sequence[str]) -> str | None:
    """The finished address, or None where a value made it one that cannot be linked to: a phone number that is no
    number must not cost the family its letter. A bad address in the template itself raises SettingsError."""
    filled = _filled(href, values)
    scheme, _, rest = filled.partition(":")
    if scheme == "tel":
        number = re.sub(r"[^+0-9]", "", rest)
        return f"tel:{number}" if number else None
    if scheme in ("https", "mailto") and not re.search(r"""[\s"'<>\\`{}|^]""", rest):
        return filled
    if filled != href:
        return None
    raise SettingsError(
        f"the link to {href} must be https:, mailto: or tel:, without spaces or quotes; mend the address"
    )


def plain(content: list[Inline]) -> str:
    """The words of some inlines."""
    return "".join(
        part if isinstance(part, str) else " " if part["t"] == "br" else plain(part["c"]) for part in content
    )


def to_html(blocks: list[Block]) -> str:
    """Semantic HTML of the blocks, without page around it."""
    return "\n".join(_html_block(block) for block in blocks)


def _html_block(block: Block) -> str:
    match block["t"]:
        case "h":
            return f"<h{block['level']}>{_html_inline(block['c'])}</h{block['level']}>"
        case "p":
            # The letters of some languages run from right to left; a browser finds out by itself.
            other = f' lang="{escape(block["lang"])}" dir="auto"' if "lang" in block else ""
            return f"<p{other}>{_html_inline(block['c'])}</p>"
        case "box":
            return f'<div class="box">\n{to_html(block["c"])}\n</div>'
        case "table":
            head = "".join(f'<th scope="col">{_html_inline(cell)}</th>' for cell in block["head"])
            rows = "\n".join(
                "<tr>" + "".join(f"<td>{_html_inline(cell)}</td>" for cell in row) + "</tr>" for row in block["rows"]
            )
            return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
        case tag:
            items = "\n".join(f"<li>{_html_item(item)}</li>" for item in block["items"])
            return f"<{tag}>\n{items}\n</{tag}>"


def _html_item(blocks: list[Block]) -> str:
    if len(blocks) == 1 and blocks[0]["t"] == "p":
        return _html_inline(blocks[0]["c"])
    return to_html(blocks)


def _html_inline(content: list[Inline]) -> str:
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append(escape(part))
        elif part["t"] == "br":
            parts.append("<br>")
        elif part["t"] == "a":
            parts.append(f'<a href="{escape(part["href"])}">{_html_inline(part["c"])}</a>')
        else:
            tag = "strong" if part["t"] == "b" else "em"
            parts.append(f"<{tag}>{_html_inline(part['c'])}</{tag}>")
    return "".join(parts)


def to_text(blocks: list[Block]) -> str:
    """The blocks as plain text, for programs that show no more. A table becomes a list, a row a line."""
    return "\n\n".join(_text_block(block) for block in blocks)


def _text_block(block: Block) -> str:
    match block["t"]:
        case "h":
            words = _text_inline(block["c"])
            return words + "\n" + ("=" if block["level"] == 1 else "-") * len(words)
        case "p":
            return _text_inline(block["c"])
        case "box":
            return to_text(block["c"])
        case "table":
            heads = [_text_inline(cell) for cell in block["head"]]
            return "\n".join(
                "- " + "; ".join(f"{head}: {_text_inline(cell)}" for head, cell in zip(heads, row, strict=True) if cell)
                for row in block["rows"]
            )
        case kind:
            return "\n".join(
                (f"{number}. " if kind == "ol" else "- ") + to_text(item).replace("\n", "\n  ")
                for number, item in enumerate(block["items"], 1)
            )


def _text_inline(content: list[Inline]) -> str:
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append(part)
        elif part["t"] == "br":
            parts.append("\n")
        else:
            words = _text_inline(part["c"])
            parts.append(words)
            if (
                part["t"] == "a"
                and part["href"].startswith("https:")
                and part["href"] not in (words, f"https://{words}")
            ):
                parts.append(f" ({part['href']})")
    return "".join(parts)
