"""Pages for readers: a report as Markdown, a report and a status as one HTML page each. Pure functions of the JSON contract."""
