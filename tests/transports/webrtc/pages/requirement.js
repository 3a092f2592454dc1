async function startConversation() {
    // Get microphone access
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    
    // Create peer connection
    const pc = new RTCPeerConnection();
    
    // Add audio track
    stream.getTracks().forEach(track => pc.addTrack(track, stream));
    
    // Create offer
    const offer = await pc.createOffer();
    await pc.setLocalDescription(offer);
    
    // Send offer to server
    const response = await fetch('/api/offer', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ sdp: offer.sdp, type: offer.type })
    });
    
    const answer = await response.json();
    await pc.setRemoteDescription(answer);
    
    // Handle ICE candidates
    pc.onicecandidate = async (event) => {
        if (event.candidate) {
            await fetch('/api/offer', {
                method: 'PATCH',
                headers: { 'Content-Type': 'application/json' },
                body: JSON.stringify({ candidate: event.candidate })
            });
        }
    };
    
    // Handle incoming audio
    pc.ontrack = (event) => {
        const audio = new Audio();
        audio.srcObject = event.streams[0];
        audio.play();
    };
}
