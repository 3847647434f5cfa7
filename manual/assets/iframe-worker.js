// A page that was opened as a file may start no worker. The search then runs in a hidden frame of the page.
"use strict";
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentDocument;
      inside.open();
      inside.write("<body></body>");
      inside.close();
      const there = this.frame.contentWindow;
      there.postMessage = (data) => {
        const message = new MessageEvent("message", { data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      };
      const load = (source) =>
        new Promise((done, failed) => {
          const script = inside.createElement("script");
          script.src = source;
          script.onload = done;
          script.onerror = failed;
          inside.body.append(script);
        });
      there.importScripts = (...sources) => sources.reduce((before, one) => before.then(() => load(one)), Promise.resolve());
      this.ready = load(address);
    }

    postMessage(data) {
      const there = this.frame.contentWindow;
      this.ready.then(() => there.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
