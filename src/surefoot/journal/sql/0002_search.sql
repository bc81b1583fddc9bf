-- What users said and runs answered, found without a second copy of the text.
CREATE INDEX event_said ON event (run) WHERE tag IN ('run.started', 'message.received', 'run.finished');
-- Runs in which a call's outcome was, or is, unknown: few, and asked for before a call is repeated.
CREATE INDEX event_unknown ON event (run) WHERE tag = 'tool.indeterminate';
