// Passkeys: what the browser answers goes into the form, and the form is sent.
"use strict";
(() => {
  if (!window.PublicKeyCredential) return;
  const bytes = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const ids = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));
  const send = (el, cred) => {
    const r = cred.response;
    const out = { id: cred.id, rawId: text(cred.rawId), type: cred.type, authenticatorAttachment: cred.authenticatorAttachment || undefined,
      clientExtensionResults: cred.getClientExtensionResults(), response: { clientDataJSON: text(r.clientDataJSON) } };
    for (const k of ["attestationObject", "authenticatorData", "signature", "userHandle"]) if (r[k]) out.response[k] = text(r[k]);
    if (r.getTransports) out.response.transports = r.getTransports();
    const f = el.closest("form");
    f.elements.answer.value = JSON.stringify(out);
    f.noValidate = true;
    f.requestSubmit();
  };
  const failed = (el, e) => {
    const w = el.closest("form").querySelector("[data-passkey-wrong]");
    w.textContent = e.name === "InvalidStateError" ? "This device has a passkey of yours already." : "No passkey was used. Try again, or choose another way.";
    w.hidden = false;
  };
  document.querySelectorAll("[data-passkey]").forEach((p) => {
    p.hidden = false;
    p.querySelector("button").addEventListener("click", async () => {
      const o = JSON.parse(p.dataset.passkey);
      try {
        send(p, await navigator.credentials.get({ publicKey: { ...o, challenge: bytes(o.challenge), allowCredentials: ids(o.allowCredentials) } }));
      } catch (e) { failed(p, e); }
    });
  });
  document.querySelectorAll("[data-passkey-new]").forEach((b) => {
    b.disabled = false;
    b.addEventListener("click", async () => {
      const o = JSON.parse(b.dataset.passkeyNew);
      try {
        send(b, await navigator.credentials.create({ publicKey: { ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: ids(o.excludeCredentials) } }));
      } catch (e) { failed(b, e); }
    });
  });
})();
