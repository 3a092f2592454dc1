// Somebody else has moved or cancelled it meanwhile.
return { answer: changed };
