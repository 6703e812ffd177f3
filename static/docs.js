// Sends what is in a form of /docs, and shows what was answered. Without script the page can only be read.

const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

async function ask(form) {
  const values = new FormData(form);
  const path = form.dataset.path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values.get(name)));
  const headers = {};
  if (values.has("body")) headers["Content-Type"] = "application/json";
  if (values.get("key")) headers.Authorization = `Bearer ${values.get("key")}`;
  const began = performance.now();
  const answer = await fetch(path, { method: form.dataset.method, headers, body: values.get("body") });
  const text = await answer.text();
  return [`${answer.status} ${answer.statusText} · ${Math.round(performance.now() - began)} ms`, pretty(text), answer.ok];
}

const show = (output, [status, text, ok]) => {
  const line = document.createElement("p");
  const block = document.createElement("pre");
  const code = document.createElement("code");
  line.className = ok ? "flash" : "flash failed";
  line.textContent = status;
  code.textContent = text;
  block.append(code);
  output.replaceChildren(line, block);
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches(".try")) return;
  event.preventDefault();
  const answer = ask(form).catch(() => ["The server could not be reached.", "", false]);
  show(form.querySelector("output"), await answer);
});

document.addEventListener("change", ({ target }) => {
  if (target.matches(".try select")) target.form.elements.body.value = target.value;
});
