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
  const view = new vega.View(runtime, { expr: vega.expressionInterpreter, renderer: "svg", container: element, hover: true });
  await view.runAsync();
  element.dataset.drawn = "yes";
}

const drawAll = () => document.querySelectorAll("[data-chart]:not([data-drawn])").forEach((element) => {
  element.dataset.drawn = "soon";
  draw(element).catch((error) => {
    console.error(error);
    element.closest("figure").nextElementSibling.open = true; // the table says the same
  });
});

document.addEventListener("htmx:afterSettle", () => {
  drawAll();
  const problems = document.getElementById("problems");
  const target = problems ?? document.getElementById("answer");
  target.focus({ preventScroll: true });
  if (problems || target.getBoundingClientRect().top > innerHeight * 0.6) target.scrollIntoView({ block: "start" });
});

drawAll();
