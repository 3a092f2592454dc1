// Calls Parley with Pipecat's own client and keeps all that it tells in window.log.
import { PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

window.log = [];

// The default media manager fetches its code from elsewhere; this one works offline.
const transport = new SmallWebRTCTransport({
  mediaManager: new WavMediaManager(),
  waitForICEGathering: false,
  iceServers: [],
});
const client = new PipecatClient({ transport, enableMic: true, enableCam: false });
window.client = client;

for (const name of Object.values(RTVIEvent)) {
  client.on(name, (data) => window.log.push({ event: name, data: plain(data), at_ms: performance.now() }));
}

client.on(RTVIEvent.TrackStarted, (track, participant) => {
  if (participant?.local || track.kind !== "audio") return;
  document.getElementById("voice").srcObject = new MediaStream([track]);
});

function plain(data) {
  try {
    return JSON.parse(JSON.stringify(data ?? null));
  } catch {
    return String(data);
  }
}

window.connect = (requestData = {}) =>
  client.connect({ webrtcRequestParams: { endpoint: "/api/offer", requestData } });
window.disconnect = () => client.disconnect();

document.getElementById("connect").onclick = () => void window.connect();
document.getElementById("disconnect").onclick = () => void window.disconnect();
