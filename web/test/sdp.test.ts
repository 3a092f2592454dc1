/** The offer's retransmission line. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { askForRetransmissions } from "../src/client/sdp.ts";

const OFFER = [
  "v=0",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
  "a=rtpmap:111 opus/48000/2",
  "a=rtcp-fb:111 transport-cc",
  "a=fmtp:111 minptime=10;useinbandfec=1",
  "a=rtpmap:0 PCMU/8000",
  "",
].join("\r\n");

test("Opus gets its nack line and no other codec does", () => {
  const lines = askForRetransmissions(OFFER).split("\r\n");

  assert.equal(lines[lines.indexOf("a=rtpmap:111 opus/48000/2") + 1], "a=rtcp-fb:111 nack");
  assert.equal(lines.filter((line) => line.endsWith(" nack")).length, 1);
  assert.equal(lines.at(-1), "");
});

test("an offer that already asks is left as it is", () => {
  const once = askForRetransmissions(OFFER);

  assert.equal(askForRetransmissions(once), once);
});

test("an offer without Opus is left as it is", () => {
  const plain = OFFER.replace("opus", "speex");

  assert.equal(askForRetransmissions(plain), plain);
});
