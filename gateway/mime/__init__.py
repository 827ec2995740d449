"""Messages as octets and spans: header fields, part trees, transfer encodings, reports; nothing is ever re-printed."""
