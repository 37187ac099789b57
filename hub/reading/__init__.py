"""How adapters read: a client that can only send the reads its source documents, files from a folder, and XML and
tables with the limits that keep a hostile or broken answer from taking the hub down.

Part of the public face `hub`, so that an author writes what is particular to a source and nothing else.
"""

from hub.reading.body import ByteStream
from hub.reading.client import ReadOnlyClient
from hub.reading.files import RAW_LIMIT, Readable, files, opened
from hub.reading.json import json_value
from hub.reading.settings import Kind, SourceSettings
from hub.reading.tables import CsvRow, csv_rows, danish_date, danish_number
from hub.reading.xml import raw, xml_elements, xml_name

__all__ = [
    "RAW_LIMIT",
    "ByteStream",
    "CsvRow",
    "Kind",
    "ReadOnlyClient",
    "Readable",
    "SourceSettings",
    "csv_rows",
    "danish_date",
    "danish_number",
    "files",
    "json_value",
    "opened",
    "raw",
    "xml_elements",
    "xml_name",
]
