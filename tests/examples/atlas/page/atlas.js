// The page of the atlas. Whatever comes from the database becomes text nodes, never markup.

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const people = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat("en", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

/** An element with its properties and children; strings become text. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function getJson(url) {
  const response = await fetch(url);
  const body = await response.json();
  if (!response.ok) throw new Error(body.message);
  return body;
}

/** The objects of a stream of JSON lines, in the groups in which they arrive. */
async function* jsonLines(response) {
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    yield lines.map((line) => JSON.parse(line));
  }
}

// --- countries -----------------------------------------------------------------------------------

let countries = [];
let cityTotal = 0;
let continent = "";
let chosen = "";

async function showContinent(name) {
  continent = name;
  for (const button of $("continents").children) {
    button.ariaPressed = String(button.value === name);
  }
  const query = name === "" ? "" : `?continent=${encodeURIComponent(name)}`;
  try {
    countries = await getJson(`countries${query}`);
    if (name === "") summarize();
    showCountries();
  } catch (error) {
    $("countries").replaceChildren(row(element("span", { className: "problem" }, error.message)));
  }
}

function summarize() {
  cityTotal = countries.reduce((sum, country) => sum + country.cityCount, 0);
  const population = countries.reduce((sum, country) => sum + country.cityPopulation, 0);
  $("summary").textContent = `${number.format(countries.length)} countries, ` +
    `${number.format(cityTotal)} cities, ${people.format(population)} people in them.`;
  const names = [...new Set(countries.map((country) => country.continent))].sort();
  $("continents").replaceChildren(...["", ...names].map((name) =>
    element("button", {
      type: "button",
      value: name,
      ariaPressed: String(name === continent),
      onclick: () => showContinent(name),
    }, name || "All")
  ));
}

function row(...cells) {
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

function showCountries() {
  const wanted = $("search").value.trim().toLowerCase();
  const found = countries.filter(({ name, officialName, capital, code }) =>
    [name, officialName, capital ?? "", code].some((text) => text.toLowerCase().includes(wanted))
  );
  $("countries").replaceChildren(...found.map((country) => {
    const name = element("button", {
      type: "button",
      onclick: () => showCountry(country.code),
    }, `${country.flag} ${country.name}`);
    const shown = row(
      name,
      country.capital ?? "",
      number.format(country.cityCount),
      country.cityPopulation === 0 ? "–" : people.format(country.cityPopulation),
    );
    shown.dataset.code = country.code;
    shown.ariaSelected = String(country.code === chosen);
    shown.children[1].className = "wide";
    shown.children[2].className = shown.children[3].className = "number";
    return shown;
  }));
  if (found.length === 0) {
    $("countries").append(row(element("span", { className: "soft" }, "No country matches.")));
  }
}

async function showCountry(code) {
  chosen = code;
  for (const shown of $("countries").children) {
    shown.ariaSelected = String(shown.dataset.code === code);
  }
  try {
    const country = await getJson(`countries/${encodeURIComponent(code)}?top=10`);
    if (chosen === code) $("country").replaceChildren(...portrait(country));
  } catch (error) {
    $("country").replaceChildren(element("p", { className: "problem" }, error.message));
  }
}

function portrait(country) {
  const facts = [
    ["Region", country.subregion ?? country.continent],
    ["Capital", country.capital ?? "none"],
    ["Languages", country.languages.join(", ") || "none"],
    ["Area", `${number.format(country.area)} km²`],
  ];
  const largest = country.largestCities[0]?.population || 1;
  const cities = country.largestCities.map((city) =>
    element(
      "li",
      {},
      element("span", {}, city.name),
      element(
        "span",
        { className: "soft" },
        number.format(city.population) +
          (city.share === null ? "" : ` · ${percent.format(city.share)}`),
      ),
      element("meter", { max: largest, value: city.population, ariaLabel: city.name }),
    )
  );
  return [
    element("h3", {}, `${country.flag} ${country.name}`),
    element("p", { className: "soft" }, country.officialName),
    element(
      "dl",
      {},
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    ),
    cities.length > 0
      ? element("ol", {}, ...cities)
      : element("p", { className: "soft" }, "No city of a thousand people or more."),
  ];
}

// --- the stream of cities ------------------------------------------------------------------------

const canvas = $("map");
const pen = canvas.getContext("2d");
let stream;

function clearMap() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
}

function draw({ longitude, latitude, population }) {
  // A plain cylindrical map, cut off where nobody lives.
  const x = (longitude + 180) / 360 * canvas.width;
  const y = (84 - latitude) / 142 * canvas.height;
  const size = population > 1e6 ? 3 : population > 1e5 ? 2 : 1;
  pen.fillStyle = population > 1e6 ? "#ffd479" : population > 1e5 ? "#8fe3d4" : "#4f9c9a";
  pen.fillRect(x - size / 2, y - size / 2, size, size);
}

async function streamCities() {
  if (stream !== undefined) return stream.abort();
  stream = new AbortController();
  $("stream").textContent = "Stop";
  clearMap();
  const started = performance.now();
  let count = 0;
  const say = (end) => {
    const seconds = (performance.now() - started) / 1000;
    $("stream-status").textContent = `${number.format(count)} cities in ${
      seconds.toFixed(1)
    } s${end}`;
  };
  try {
    const response = await fetch("cities.ndjson", { signal: stream.signal });
    if (!response.ok) throw new Error((await response.json()).message);
    for await (const cities of jsonLines(response)) {
      cities.forEach(draw);
      count += cities.length;
      say(" …");
    }
    say("");
  } catch (error) {
    say(error.name === "AbortError" ? ", stopped: the cursor is closed" : `: ${error.message}`);
  } finally {
    stream = undefined;
    $("stream").textContent = "Stream all cities";
  }
}

// --- the recount ---------------------------------------------------------------------------------

async function recount() {
  const bar = $("recount-progress");
  $("recount").disabled = true;
  bar.hidden = false;
  bar.removeAttribute("value");
  let done = 0;
  try {
    const response = await fetch("recount", { method: "POST" });
    if (!response.ok) throw new Error((await response.json()).message);
    for await (const lines of jsonLines(response)) {
      done = lines.at(-1)?.cities ?? done;
      bar.value = done / cityTotal;
      $("stream-status").textContent = `${number.format(done)} cities recounted …`;
    }
    $("stream-status").textContent = `${
      number.format(done)
    } cities know their rank and share in their country.`;
    if (chosen !== "") await showCountry(chosen);
  } catch (error) {
    $("stream-status").textContent = `The recount ended: ${error.message}`;
  } finally {
    $("recount").disabled = false;
    bar.hidden = true;
  }
}

$("search").addEventListener("input", showCountries);
$("stream").addEventListener("click", streamCities);
$("recount").addEventListener("click", recount);
await showContinent("");
streamCities();
