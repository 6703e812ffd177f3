// Draws the plots of the page, when it is loaded and whenever htmx has put an answer in. All else works without script.

const vendor = (name) => import(new URL(`./vendor/${name}.min.js`, import.meta.url));

// Vega is heavy: it is loaded with the first plot. Each file adds its global; the later ones need the earlier.
let loading;
const loadVega = () => (loading ??= vendor("vega").then(() => Promise.all([vendor("vega-lite"), vendor("vega-interpreter")])));

async function draw(element) {
  await loadVega();
  const specification = vegaLite.compile(JSON.parse(element.dataset.chart)).spec;
  // `ast` and the interpreter: the page's policy forbids making code from text.
  const runtime = vega.parse(specification, null, { ast: true });
  const view = new vega.View(runtime, { expr: vega.expressionInterpreter, renderer: "svg", container: element });
  await view.runAsync();
  element.dataset.drawn = "yes";
}

const drawAll = () => document.querySelectorAll("[data-chart]:not([data-drawn])").forEach((element) => {
  element.dataset.drawn = "soon";
  const table = element.closest("figure").nextElementSibling; // says the same: open without script, and where drawing fails
  draw(element).then(() => { table.open = false; }, (error) => {
    console.error(error);
    table.open = true;
  });
});

// How high each column is: where it may stick, style.css says.
const heights = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  target.style.setProperty("--height", `${target.offsetHeight}px`);
}));
const watchColumns = () => document.querySelectorAll("#page > *").forEach((column) => heights.observe(column));

// After a swap: errors get the focus; an answer is only read out, so that the next value can be typed at once.
document.addEventListener("htmx:afterSettle", () => {
  drawAll();
  watchColumns();
  const problems = document.getElementById("problems");
  const headline = document.querySelector("#answer .headline");
  problems?.focus({ preventScroll: true });
  document.getElementById("said").textContent = problems ? "" : headline?.innerText ?? "";
  const target = problems ?? document.getElementById("answer");
  const { top } = target?.getBoundingClientRect() ?? {};
  if (top < 0 || top > innerHeight * 0.6) target.scrollIntoView();
});

const sayGone = () => {
  const note = document.createElement("p");
  note.className = "flash failed";
  note.textContent = "The server could not be reached. Nothing was predicted; please try again.";
  document.getElementById("answer").replaceChildren(note);
  document.getElementById("said").textContent = note.textContent;
};
document.addEventListener("htmx:sendError", sayGone);
// A gateway's own error page has nothing to swap in: without this the form would go.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.serverResponse.includes('id="page"')) return;
  event.detail.shouldSwap = false;
  sayGone();
});

drawAll();
watchColumns();
