// Server-sent events read from fetch. The network cuts a stream anywhere, inside an event or inside a character:
// the decoder keeps half a character, `rest` keeps half a line, and `data` half an event, until the next bytes come.

export class EventReader {
  constructor() {
    this.decoder = new TextDecoder("utf-8");
    this.rest = "";
    this.clear();
  }

  clear() {
    this.event = "message";
    this.data = [];
  }

  /** The events that these bytes complete, as [{event, data}] with `data` still text. */
  push(bytes) {
    return this.lines(this.decoder.decode(bytes, { stream: true }));
  }

  lines(text) {
    this.rest += text;
    const events = [];
    for (;;) {
      const end = /\r\n|\n|\r/.exec(this.rest);
      // A "\r" at the very end may be the first half of "\r\n": wait for what follows.
      if (!end || (end[0] === "\r" && end.index === this.rest.length - 1)) return events;
      const line = this.rest.slice(0, end.index);
      this.rest = this.rest.slice(end.index + end[0].length);
      const event = this.line(line);
      if (event) events.push(event);
    }
  }

  line(line) {
    if (line === "") {
      const event = this.data.length ? { event: this.event, data: this.data.join("\n") } : null;
      this.clear();
      return event;
    }
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line);  // a comment has an empty name, and is passed over
    if (name === "data") this.data.push(value);
    if (name === "event") this.event = value;
    return null;
  }
}

/** The events of a response, until it ends. Raises the TypeError of fetch if the network breaks. */
export async function* readEvents(response) {
  const parser = new EventReader();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
