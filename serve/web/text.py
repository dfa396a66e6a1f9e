"""What a document says: HTML as Markdown with its title and links, other text as it is."""

import codecs
import re
from email.message import Message

from modelkit.serve.web.fetch import Document
from modelkit.serve.web.page import Page, PageError

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(r"text/.*|application/(.*\+)?(json|xml|yaml)|application/(x-ndjson|javascript)")
_META = re.compile(rb"<meta[^>]{0,200}charset\s{0,9}=[\s\"']{0,9}([A-Za-z0-9_:.-]{1,40})", re.I)
_HEAD = 1024
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (b"\xfe\xff", "utf-16"))
# The web means the larger sets by the names of the smaller ones.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}


def page_of(document: Document) -> Page:
    """The document as text; raises PageError 502 for what is no text."""
    header = Message()
    header["Content-Type"] = document.content_type or "text/html"
    kind = header.get_content_type()
    if kind not in _HTML and not _TEXT.fullmatch(kind):
        raise PageError(502, f"{document.url} is {kind[:100]}, which is not text")
    text = _decoded(document.body, header.get_content_charset() or "", html=kind in _HTML)
    if "\0" in text:
        raise PageError(502, f"{document.url} is not text")
    return _read_html(text, document.url) if kind in _HTML else _plain(text)


def _plain(text: str) -> Page:
    return Page(title="", content=text, links=[])


def _read_html(text: str, url: str) -> Page:
    from html_to_markdown import ConversionOptions, convert

    # Asked for both at once, it writes the metadata into the text.
    about = convert(text, ConversionOptions(skip_images=True, base_url=url)).metadata
    said = convert(
        text, ConversionOptions(skip_images=True, base_url=url, extract_metadata=False)
    ).content
    title = about.document.title or ""
    links = dict.fromkeys(link.href for link in about.links if _leads_away(link.href, url))
    return Page(title=" ".join(title.split()), content=(said or "").strip(), links=list(links))


def _leads_away(link: str, url: str) -> bool:
    """Whether it is a web page, and not a place on the one that it is written on."""
    web = link.startswith(("http://", "https://"))
    return web and link.partition("#")[0] != url.partition("#")[0]


def _decoded(body: bytes, charset: str, *, html: bool) -> str:
    """By its mark, by what the server or the page says, as UTF-8, or else as western text."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    if not charset and html and (found := _META.search(body[:_HEAD])):
        charset = found[1].decode()
    if known := _codec(charset):
        return body.decode(known, "replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _codec(charset: str) -> str | None:
    try:
        name = codecs.lookup(charset).name
        bytes(4).decode(name)  # some are no encodings of text
    except (LookupError, ValueError):
        return None
    return _MEANT.get(name, name)
