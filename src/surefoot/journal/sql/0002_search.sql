-- What users said and runs answered, found without a second copy of the text.
CREATE INDEX event_said ON event (run) WHERE tag IN ('run.started', 'message.received', 'run.finished');
