/** Starts the call page. */

import { ParleyClient } from "./client/client.ts";
import type { ParleyEvent } from "./client/events.ts";
import { Signalling } from "./client/signalling.ts";
import { CallPage } from "./page/call_page.ts";
import { element } from "./page/elements.ts";
import { KeyDialog } from "./page/key_dialog.ts";
import { Stage } from "./page/stage.ts";

const EVENTS_KEPT = 10_000;

declare global {
  interface Window {
    /** What tests, and the curious, may look at. */
    parley: {
      readonly state: string;
      readonly phase: string;
      readonly sessionId: string;
      readonly pc: RTCPeerConnection | undefined;
      readonly events: ParleyEvent[];
      readonly audioElement: HTMLAudioElement;
      readonly client: ParleyClient;
    };
  }
}

const audioElement = element("agent-audio", HTMLAudioElement);
const keys = new KeyDialog();
const stage = new Stage();
const client = new ParleyClient(new Signalling((wasRefused) => keys.ask(wasRefused)), stage.context);
const page = new CallPage(client, stage, audioElement);
const events: ParleyEvent[] = [];

client.on("event", (event) => {
  events.push(event);
  if (events.length > EVENTS_KEPT) events.shift();
});

window.parley = {
  get state() {
    return client.state;
  },
  get phase() {
    return page.phase;
  },
  get sessionId() {
    return client.sessionId;
  },
  get pc() {
    return client.pc;
  },
  events,
  audioElement,
  client,
};

void page.load();
