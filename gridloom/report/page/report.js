"use strict";
// Draws the heatmap, the charts and the table from the numbers that the page holds. It fetches
// nothing. Every text from the study goes into the page as text, never as HTML.
(() => {
  const element = (id) => document.getElementById(id);
  const numbers = JSON.parse(element("numbers").textContent);
  const charts = JSON.parse(element("charts").textContent);
  const { axes, points, metrics, pick } = numbers;
  const escaped = DataTable.util.escapeHtml;

  // ---- Numbers -------------------------------------------------------------------------------

  const TYPES = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };

  function decode({ type, data }) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    return new TYPES[type](bytes.buffer);
  }

  const columns = Object.fromEntries(
    Object.entries(points).map(([name, array]) => [name, decode(array)]),
  );
  const count = columns.rank.length;
  const codesPerPoint = points.codes.shape[1];
  const code = (point, axis) => columns.codes[point * codesPerPoint + axis];
  const everyPoint = Array.from({ length: count }, (_, point) => point);
  const byRank = [...everyPoint].sort((a, b) => columns.rank[a] - columns.rank[b] || a - b);
  // A study of one axis is drawn as a map of one column.
  const NO_AXIS = { name: "", label: "", values: [""], yaml: [null] };
  const drawnAxes = axes.length === 1 ? [...axes, NO_AXIS] : axes;

  for (const metric of metrics) {
    metric.values = decode(metric.values);
    metric.errors = decode(metric.errors);
    metric.means = metric.means.map(decode);
    metric.mean_errors = metric.mean_errors.map(decode);
  }
  const tiedMeans = numbers.tied.map(decode);
  const trainings = {
    ...numbers.trainings,
    scores: decode(numbers.trainings.scores),
    status: decode(numbers.trainings.status),
    epochs: decode(numbers.trainings.epochs),
    count: numbers.trainings.repetitions.length,
  };

  /** Write a number with some digits; nothing for NaN. */
  function format(value, digits = 4) {
    if (!Number.isFinite(value)) return "";
    if (Number.isInteger(value)) return value.toLocaleString("en-US");
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(2);
    return Number(value.toPrecision(digits)).toString();
  }

  /** Write a point's value of a metric, with its standard error if it has one. */
  function withError({ values, errors }, point) {
    const error = Number.isFinite(errors[point]) ? ` ± ${format(errors[point], 2)}` : "";
    return format(values[point]) + error;
  }

  const shown = (text) => (text === "" ? "—" : text);
  const describe = (point) =>
    axes.map((axis, at) => `${axis.name}=${shown(axis.values[code(point, at)])}`).join(", ") ||
    "the only configuration";

  function yamlOf(point) {
    const values = axes.map((axis, at) => [axis.name, axis.yaml[code(point, at)]]);
    const lines = [...Object.entries(numbers.fixed), ...values]
      .filter(([, value]) => value !== null)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `  ${name}: ${value}`);
    return `hyperparameters:\n${lines.join("\n")}\n`;
  }

  // ---- Elements ------------------------------------------------------------------------------

  function make(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function fillSelect(select, texts, chosen) {
    select.replaceChildren(...texts.map((text, place) => make("option", text, { value: place })));
    select.value = chosen;
  }

  function fillTable(table, caption, heads, rows) {
    const head = make("tr");
    head.append(...heads.map((text) => make("th", text, { scope: "col" })));
    const body = rows.map((cells) => {
      const row = make("tr");
      row.append(
        ...cells.map((cell, place) => {
          const made = place ? make("td") : make("th", undefined, { scope: "row" });
          made.append(cell);
          return made;
        }),
      );
      return row;
    });
    const parts = [make("caption", caption), make("thead"), make("tbody")];
    parts[1].append(head);
    parts[2].append(...body);
    table.replaceChildren(...parts);
  }

  function openButton(point, text) {
    const button = make("button", text, {
      type: "button",
      "data-point": point,
      "aria-label": `${text}: ${describe(point)}`,
    });
    return button;
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-point]");
    if (opener && opener.tagName === "BUTTON") openPoint(Number(opener.dataset.point));
    const copier = event.target.closest("[data-copies]");
    if (copier) copy(copier);
  });

  /** Copy a text; where the browser denies it, select the text instead. */
  async function copy(button) {
    const source = element(button.dataset.copies);
    let done = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  // ---- Charts --------------------------------------------------------------------------------

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const redraws = new Map();
  const views = new Map();

  /** Draw a chart in its element, without `eval`; again when light turns dark. */
  async function draw(id, build, after = () => {}) {
    redraws.set(id, () => draw(id, build, after));
    const spec = build();
    const ink = { labelColor: style("--text"), titleColor: style("--text") };
    spec.background = null;
    spec.config = {
      ...spec.config,
      font: "system-ui, 'DejaVu Sans', sans-serif",
      axis: { ...ink, gridColor: style("--line"), domainColor: style("--soft"), tickColor: style("--soft"), labelFontSize: 12, titleFontSize: 12 },
      legend: { ...ink, labelFontSize: 12, titleFontSize: 12 },
      rule: { color: style("--text") },
    };
    const parsed = vega.parse(vegaLite.compile(spec).spec, null, { ast: true });
    const target = element(id);
    const described = ["role", "aria-label"].map((name) => [name, target.getAttribute(name)]);
    views.get(id)?.finalize();
    const view = new vega.View(parsed, {
      expr: vega.expressionInterpreter,
      renderer: "svg",
      container: target,
      hover: false,
      tooltip: (handler, event, item, value) => tell(event, value),
    });
    views.set(id, view);
    view.addEventListener("click", (event, item) => {
      if (item?.datum?.point >= 0) openPoint(item.datum.point);
    });
    await view.runAsync();
    // Vega calls the element "Vega visualization"; its own description says more.
    for (const [name, value] of described) target.setAttribute(name, value);
    target.removeAttribute("aria-roledescription");
    after(target);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const redraw of redraws.values()) redraw();
  });

  function tell(event, text) {
    const tip = element("tip");
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const right = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(right, 4)}px`;
    tip.style.top = `${Math.max(below, 4)}px`;
  }

  /** Whether legends stand below the charts, as beside them there is no room. */
  const narrow = () => document.documentElement.clientWidth < 700;

  const spec = (name) => structuredClone(charts[name]);

  // ---- Heatmap -------------------------------------------------------------------------------

  // More than a quarter of its trainings lost: the others are a selection, so it has no colour.
  const MAX_LOST = numbers.max_lost;
  const BETTER = { max: "(higher is better)", min: "(lower is better)" };
  const start = pick ?? byRank[0];
  const map = { rows: 0, columns: Math.min(1, drawnAxes.length - 1), metric: 0, mode: "mean", at: axes.map((_, at) => code(start, at)) };

  const pairPlace = (a, b) => numbers.pairs.findIndex(([x, y]) => (x === a && y === b) || (x === b && y === a));

  /** Group the points by the cell that they are in. */
  function pointsOfCells(rows, cols) {
    const width = drawnAxes[cols].values.length;
    const cells = Array.from({ length: drawnAxes[rows].values.length * width }, () => []);
    for (const point of byRank) cells[code(point, rows) * width + code(point, cols)].push(point);
    return cells;
  }

  /** Return the cells of a map, row by row. */
  function cellsOf(mode, rows, cols, metric) {
    const inCells = pointsOfCells(rows, cols);
    const [rowCount, width] = [drawnAxes[rows].values.length, drawnAxes[cols].values.length];
    const pair = pairPlace(rows, cols);
    const turned = pair >= 0 && numbers.pairs[pair][0] !== rows;
    return inCells.map((own, place) => {
      const [row, column] = [Math.floor(place / width), place % width];
      const cell = { row, column, value: NaN, error: NaN, trainings: 0, lost: 0, tied: false, pick: false, point: -1, configurations: own.length };
      if (mode === "mean") {
        const at = turned ? column * rowCount + row : place;
        cell.value = metric.means[pair][at];
        cell.error = metric.mean_errors[pair][at];
        cell.tied = tiedMeans[pair][at] > 0;
        for (const point of own) {
          cell.trainings += columns.trainings[point];
          cell.lost += columns.lost[point];
        }
        cell.pick = own.includes(pick);
        // A cell opens its best configuration.
        if (own.length) cell.point = own[0];
      } else {
        const fits = (point) => axes.every((_, at) => at === rows || at === cols || code(point, at) === map.at[at]);
        const point = mode === "best" ? own[0] : own.find(fits);
        if (point === undefined) return cell;
        cell.point = point;
        cell.value = metric.values[point];
        cell.error = metric.errors[point];
        cell.trainings = columns.trainings[point];
        cell.lost = columns.lost[point];
        cell.tied = columns.tied[point] > 0;
        cell.pick = mode === "best" ? own.includes(pick) : point === pick;
      }
      if (!metric.without_lost) cell.lost = 0;
      return cell;
    });
  }

  const coloured = (cell) => Number.isFinite(cell.value) && cell.lost <= MAX_LOST * cell.trainings;

  function median(values) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    const half = sorted.length >> 1;
    if (!sorted.length) return NaN;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  /** The ends of the colours, by the rule of the figures (gridloom.figures.heatmaps.colour_scale):
   * the better half of the cells has half of the colours, and noise alone makes no contrast. */
  function colourScale(cells, mode) {
    const used = cells.filter(coloured);
    if (!used.length) return { low: 0, high: 1, worst: null };
    const sign = mode === "min" ? -1 : 1;
    const values = used.map((cell) => sign * cell.value);
    const best = values.reduce((a, b) => Math.max(a, b));
    const worst = values.reduce((a, b) => Math.min(a, b));
    const half = best - median(values);
    const rounding = numbers.resolution * Math.abs(best);
    let end = worst;
    if (mode !== null && half > rounding && best - worst > 3 * half) end = best - 2 * half;
    const error = median(used.map((cell) => cell.error));
    if (Number.isFinite(error)) end = Math.min(end, best - 4 * error);
    if (best - end <= rounding) end = best - 0.1 * Math.max(Math.abs(best), 1);
    const [low, high] = [sign * end, sign * best].sort((a, b) => a - b);
    return { low, high, worst: worst < end ? sign * worst : null };
  }

  const scales = new Map();

  /** One scale for all maps of a mode and metric; a slice has its own. */
  function scaleOf(mode, metric, cells) {
    if (mode === "slice") return colourScale(cells, metric.mode);
    const key = `${mode} ${metric.name}`;
    if (!scales.has(key)) {
      const all = numbers.pairs.flatMap(([rows, cols]) => cellsOf(mode, rows, cols, metric));
      scales.set(key, colourScale(all.length ? all : cells, metric.mode));
    }
    return scales.get(key);
  }

  // Cividis (Nuñez, Anderton & Renslow 2018) is bright where its value is above about 0.55.
  const BRIGHT = 0.55;

  function textsOf(cell, metric, scale) {
    const [row, column] = [drawnAxes[map.rows], drawnAxes[map.columns]];
    const error = Number.isFinite(cell.error) ? ` ± ${format(cell.error, 2)}` : "";
    const where = [row, column]
      .filter((axis) => axis.name)
      .map((axis) => `${axis.label} = ${shown(axis.values[axis === row ? cell.row : cell.column])}`)
      .join(", ");
    const value = Number.isFinite(cell.value) ? format(cell.value) + error : "no value";
    const parts = [where, `${metric.label}: ${value}`];
    if (cell.configurations === 0) parts.push("no configuration here");
    else parts.push(`n = ${cell.trainings - cell.lost} trainings` + (map.mode === "mean" ? ` of ${cell.configurations} configurations` : ""));
    if (cell.lost) parts.push(`${cell.lost} of ${cell.trainings} trainings lost`);
    if (cell.tied) parts.push("not told apart from the best");
    if (cell.pick) parts.push("the pick is here");
    if (map.mode === "mean" && cell.configurations > 1) parts.push("opens the best of these configurations");
    const clear = coloured(cell);
    const place = (cell.value - scale.low) / (scale.high - scale.low);
    const bright = metric.mode === "min" ? 1 - place : place;
    const lines = Number.isFinite(cell.value) ? [format(cell.value) + (cell.lost ? " ×" : "")] : [cell.configurations ? "×" : ""];
    if (Number.isFinite(cell.error)) lines.push(`±${format(cell.error, 2)}`);
    return {
      says: parts.join("\n"),
      text: lines.join("\n"),
      shade: clear ? cell.value : null,
      ink: !clear || bright > BRIGHT ? "#000000" : "#ffffff",
    };
  }

  function drawMap() {
    const [row, column] = [drawnAxes[map.rows], drawnAxes[map.columns]];
    const metric = metrics[map.metric];
    const cells = cellsOf(map.mode, map.rows, map.columns, metric);
    const scale = scaleOf(map.mode, metric, cells);
    const data = cells.map((cell) => ({
      ...cell,
      ...textsOf(cell, metric, scale),
      rowText: shown(row.values[cell.row]),
      columnText: shown(column.values[cell.column]),
    }));
    const room = element("map").clientWidth - (narrow() ? 110 : 260);
    const step = Math.max(10, Math.min(74, Math.floor(room / column.values.length)));
    const withText = step >= 44 && row.values.length <= 60;
    draw(
      "map",
      () => {
        const chart = spec("heatmap");
        chart.data.values = data;
        chart.width.step = step;
        chart.height.step = row.values.length > 40 ? 14 : 44;
        const { x, y } = chart.encoding;
        // Places, not texts: two values may read alike.
        x.axis.title = column.label || null;
        y.axis.title = row.label;
        x.axis.labelExpr = labels(column);
        y.axis.labelExpr = labels(row);
        if (chart.width.step < 44) x.axis.labelAngle = -60;
        const { color } = chart.layer[0].encoding;
        color.scale.domain = [scale.low, scale.high];
        color.scale.reverse = metric.mode === "min";
        color.legend.title = [metric.label, BETTER[metric.mode] ?? ""];
        color.legend.titleLimit = 320;
        if (narrow()) Object.assign(color.legend, { orient: "bottom", direction: "horizontal" });
        chart.layer = chart.layer.filter((layer) => withText || !["number", "pick"].includes(layer.name));
        return chart;
      },
      (target) => makeCellsReachable(target, data, column.values.length),
    );
    sayMap(metric, scale, data);
    const heads = [row.label + (column.label ? ` \\ ${column.label}` : ""), ...column.values.map(shown)];
    const rows = row.values.map((text, place) => [
      shown(text),
      ...data.slice(place * column.values.length, (place + 1) * column.values.length).map((cell) => {
        const text = cell.text.replace("\n", " ") || "—";
        return cell.point >= 0 ? openButton(cell.point, text) : text;
      }),
    ]);
    const tooMany = data.length > 4000;
    const caption = tooMany ? `${metric.label}: too many cells for a table; summary.csv has all numbers` : metric.label;
    fillTable(element("map-table"), caption, heads, tooMany ? [] : rows);
  }

  /** An expression of Vega that writes the value of a place; the texts are quoted as JSON. */
  const labels = (axis) => `${JSON.stringify(axis.values.map(shown))}[datum.value]`;

  function sayMap(metric, scale, data) {
    const others = axes.filter((_, at) => at !== map.rows && at !== map.columns);
    const names = others.map((axis) => axis.label).join(", ");
    const fixed = others.map((axis) => `${axis.label} = ${shown(axis.values[map.at[axes.indexOf(axis)]])}`);
    const says = {
      mean: `Mean over ${names || "repetitions"}${names ? " and repetitions" : ""}, ± standard error over repetitions.`,
      best: `Best configuration of each cell (luck included)${names ? `, of all ${names}` : ""}.`,
      slice: fixed.length ? `At ${fixed.join(", ")}.` : "Mean over repetitions, ± standard error.",
    };
    element("map-says").textContent = `${metric.label}. ${says[map.mode]}`;
    const marks = [];
    if (data.some((cell) => cell.pick)) marks.push("★: the pick is here.");
    if (data.some((cell) => cell.tied)) marks.push("Outlined: not told apart from the best by the objective.");
    if (data.some((cell) => cell.lost)) marks.push("×: some trainings were lost and are left out; grey: more than a quarter of them.");
    if (scale.worst !== null) marks.push(`The colours end before the worst value, ${format(scale.worst)}.`);
    element("map-marks").textContent = marks.join(" ");
  }

  /** Let the keyboard reach the cells: arrows move, Enter opens, and focus tells the numbers. */
  function makeCellsReachable(target, data, width) {
    const shapes = [...target.querySelectorAll(".mark-rect.role-mark.cell_marks path, .mark-rect.role-mark.layer_0_marks path")];
    const place = new Map();
    for (const shape of shapes) {
      const cell = shape.__data__?.datum ?? shape.__data__;
      shape.setAttribute("role", "button");
      shape.removeAttribute("aria-roledescription");
      shape.setAttribute("tabindex", "-1");
      shape.setAttribute("aria-label", cell.says.replaceAll("\n", "; "));
      shape.dataset.point = cell.point;
      place.set(cell.row * width + cell.column, shape);
      shape.addEventListener("focus", () => {
        const box = shape.getBoundingClientRect();
        tell({ clientX: box.right - 14, clientY: box.bottom - 14 }, cell.says);
      });
      shape.addEventListener("blur", () => tell(null, ""));
      shape.addEventListener("keydown", (event) => {
        const at = cell.row * width + cell.column;
        const next = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - width, ArrowDown: at + width }[event.key];
        if ((event.key === "Enter" || event.key === " ") && cell.point >= 0) openPoint(cell.point);
        else if (place.has(next)) place.get(next).focus();
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
    }
    target.onkeydown = (event) => {
      if (event.target !== target || !event.key.startsWith("Arrow")) return;
      place.get(0)?.focus();
      event.preventDefault();
    };
  }

  function setUpMap() {
    if (!axes.length) return;
    const controls = element("map-controls");
    // The pair that explains most comes first.
    for (const pair of numbers.first_pair) [map.rows, map.columns] = pair;
    fillSelect(element("map-rows"), drawnAxes.map((axis) => axis.label), map.rows);
    fillSelect(element("map-columns"), drawnAxes.map((axis) => axis.label), map.columns);
    fillSelect(element("map-metric"), metrics.map((metric) => metric.label), 0);
    if (axes.length === 1) map.mode = "slice";
    // Nothing to choose: one axis has no pair, two axes have no others.
    for (const part of controls.querySelectorAll(axes.length === 1 ? ".pair" : "fieldset.pair")) {
      part.hidden = axes.length < 3;
    }
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.addEventListener("input", (event) => {
      const { id, name, value } = event.target;
      if (id === "map-rows" || id === "map-columns") {
        const [own, other] = id === "map-rows" ? ["rows", "columns"] : ["columns", "rows"];
        // The same axis twice: the two change places.
        if (map[other] === Number(value)) map[other] = map[own];
        map[own] = Number(value);
      } else if (id === "map-metric") map.metric = Number(value);
      else if (name === "mode") map.mode = value;
      else map.at[Number(event.target.dataset.axis)] = Number(value);
      showControls();
      drawMap();
    });
    showControls();
    drawMap();
    addEventListener("resize", () => { clearTimeout(map.timer); map.timer = setTimeout(drawMap, 150); });
  }

  function showControls() {
    const noMeans = pairPlace(map.rows, map.columns) < 0;
    if (noMeans && map.mode === "mean") map.mode = "slice";
    const controls = element("map-controls");
    controls.elements["map-rows"].value = map.rows;
    controls.elements["map-columns"].value = map.columns;
    for (const radio of controls.querySelectorAll("[name=mode]")) {
      radio.checked = radio.value === map.mode;
      radio.disabled = radio.value === "mean" && noMeans;
    }
    const sliders = element("map-sliders");
    const held = axes.map((axis, at) => ({ axis, at })).filter(({ at }) => at !== map.rows && at !== map.columns);
    sliders.hidden = map.mode !== "slice";
    const wanted = held.map(({ at }) => at).join();
    if (sliders.dataset.axes !== wanted) {
      sliders.dataset.axes = wanted;
      sliders.replaceChildren(
        ...held.map(({ axis, at }) => {
          const label = make("label", axis.label);
          label.append(
            make("input", undefined, { type: "range", min: 0, max: axis.values.length - 1, step: 1, value: map.at[at], "data-axis": at }),
            make("output"),
          );
          return label;
        }),
      );
    }
    for (const input of sliders.querySelectorAll("input")) {
      const text = shown(axes[Number(input.dataset.axis)].values[Number(input.value)]);
      input.setAttribute("aria-valuetext", text);
      input.nextElementSibling.textContent = text;
    }
  }

  // ---- Effects -------------------------------------------------------------------------------

  function drawEffects() {
    if (!numbers.effects.length) return;
    const own = numbers.effects.filter((effect) => !effect.luck);
    const right = Math.max(0.05, 1.05 * Math.max(...own.map((effect) => Math.max(effect.share, Math.min(effect.high ?? 0, 1)))));
    const left = Math.min(0, ...numbers.effects.map((effect) => effect.share));
    draw("effects-chart", () => {
      const chart = spec("effects");
      chart.width = Math.max(140, Math.min(520, element("effects-chart").clientWidth - (narrow() ? 220 : 420)));
      if (narrow()) chart.layer[0].encoding.color.legend = { orient: "bottom", columns: 1 };
      chart.data.values = numbers.effects.map((effect) => ({
        ...effect,
        kind: effect.luck ? "luck, on the same scale" : effect.low !== null && effect.low <= 0 ? "perhaps nothing" : "effect",
      }));
      chart.layer[0].encoding.x.scale = { domain: [left, right], nice: false };
      return chart;
    });
  }

  // ---- Curves --------------------------------------------------------------------------------

  const pointCurves = { ...numbers.curves, values: decode(numbers.curves.values) };
  const curvePlace = new Map([...decode(numbers.curves.points)].map((point, place) => [point, place]));
  const BAND = "Line: mean over repetitions. Band: from the lowest to the highest of them.";
  // More lines are no longer told apart.
  const MAX_TIED = 20;

  /** Return the rows of a point's curve: objective with its band, and the training rows. */
  function curveOf(point, series, { training = true, band = true, weight = 2 } = {}) {
    const place = curvePlace.get(point);
    const epochs = pointCurves.epochs;
    if (place === undefined) return [];
    const at = (which, epoch) => pointCurves.values[(place * 4 + which) * epochs.length + epoch];
    const rows = [];
    epochs.forEach((epoch, index) => {
      const [mean, low, high, own] = [0, 1, 2, 3].map((which) => at(which, index));
      if (Number.isFinite(mean)) rows.push({ epoch, value: mean, low: band ? low : mean, high: band ? high : mean, series, rows: "validation rows", line: `${point} v`, weight });
      if (training && Number.isFinite(own)) rows.push({ epoch, value: own, low: own, high: own, series, rows: "training rows", line: `${point} t`, weight });
    });
    return rows;
  }

  function axisRows(axis) {
    return numbers.axis_curves[axis.name].curves.flatMap((curve, place) => {
      const [mean, low, high] = [curve.mean, curve.low, curve.high].map(decode);
      const training = curve.training && decode(curve.training);
      const series = shown(curve.value);
      return curve.epochs.flatMap((epoch, index) => [
        { epoch, value: mean[index], low: low[index], high: high[index], series, rows: "validation rows", line: `${place} v`, weight: 2 },
        ...(training ? [{ epoch, value: training[index], low: training[index], high: training[index], series, rows: "training rows", line: `${place} t`, weight: 2 }] : []),
      ]);
    });
  }

  /** The part of the scale where the curves are: a few far values do not take all of it. */
  function curveDomain(rows) {
    const values = rows.flatMap((row) => [row.low, row.high]).filter(Number.isFinite).sort((a, b) => a - b);
    const quantile = (share) => values[Math.round(share * (values.length - 1))];
    const [low, high] = [quantile(metrics[0].mode === "max" ? 0.02 : 0), quantile(metrics[0].mode === "min" ? 0.98 : 1)];
    const margin = 0.04 * (high - low) || 0.01 * Math.abs(high) || 0.01;
    return [low - margin, high + margin];
  }

  function drawCurves(id, rows, title) {
    const target = element(id);
    if (!rows.length) {
      redraws.delete(id);
      views.get(id)?.finalize();
      views.delete(id);
      return target.replaceChildren();
    }
    return draw(id, () => {
      const chart = spec("curves");
      chart.data.values = rows;
      chart.width = Math.max(180, Math.min(640, target.clientWidth - (narrow() ? 70 : 290)));
      if (narrow()) {
        Object.assign(chart.encoding.color.legend, { orient: "bottom", columns: 1 });
        chart.layer[1].encoding.strokeDash.legend = { orient: "bottom", columns: 1 };
      }
      const y = chart.layer[0].encoding.y;
      y.title = title;
      y.scale.domain = curveDomain(rows);
      chart.layer[1].encoding.y.title = title;
      return chart;
    });
  }

  function between(axis) {
    const count = numbers.axis_curves[axis.name].not_drawn;
    return count ? ` Not drawn: ${count.toLocaleString("en-US")} values between these.` : "";
  }

  function setUpCurves() {
    const select = element("curves-of");
    const known = axes.filter((axis) => numbers.axis_curves[axis.name]?.curves.length);
    const choices = [...(pick === null ? [] : ["the pick and what is tied with it"]), ...known.map((axis) => `values of ${axis.label}`)];
    fillSelect(select, choices, 0);
    select.closest("form").hidden = choices.length < 2;
    const show = () => {
      const place = Number(select.value) - (pick === null ? 0 : 1);
      const objective = metrics[0].label.replace(/^(validation|training) /, "");
      if (place >= 0) {
        if (!known.length) return void (element("curves-say").textContent = "No training has a curve.");
        drawCurves("curves-chart", axisRows(known[place]), objective);
        element("curves-say").textContent = `Line: mean over the configurations of a value and over repetitions. ${BAND.split(". ")[1]} Trainings that diverged are left out.${between(known[place])}`;
        return;
      }
      const tied = byRank.filter((point) => columns.tied[point] && point !== pick);
      const drawn = tied.slice(0, MAX_TIED);
      drawCurves("curves-chart", [
        ...drawn.flatMap((point) => curveOf(point, "tied with the best", { training: false, band: false, weight: 0.7 })),
        ...curveOf(pick, "the pick"),
      ], objective);
      const further = tied.length - drawn.length;
      element("curves-say").textContent = BAND + (further > 0 ? ` ${further.toLocaleString("en-US")} further tied configurations are not drawn.` : "");
    };
    select.addEventListener("input", show);
    show();
  }

  // ---- Configurations ------------------------------------------------------------------------

  function setUpTable() {
    const objective = metrics[0];
    const of = (name) => metrics.find((metric) => metric.name === name)?.values;
    const [parameters, seconds] = [of("parameters"), of("seconds")];
    const number = (value, digits) => ({
      data: (row, type) => (type === "display" ? escaped(format(value(row.point), digits)) : sortable(value(row.point))),
      type: "num",
    });
    const sortable = (value) => (Number.isFinite(value) ? value : objective.mode === "min" ? Infinity : -Infinity);
    const axisColumn = (axis, at) => ({
      data: (row, type) => {
        const place = code(row.point, at);
        // Values stand in the order of the grid; the filter reads their text.
        return type === "sort" || type === "type" ? place : escaped(shown(axis.values[place]));
      },
    });
    const table = new DataTable("#table", {
      data: everyPoint.map((point) => ({ point })),
      columns: [
        {
          data: (row, type) => (type === "display" ? openButton(row.point, "open").outerHTML : ""),
          orderable: false,
          searchable: false,
        },
        number((point) => columns.rank[point]),
        ...axes.map(axisColumn),
        {
          data: ({ point }, type) => (type === "display" ? escaped(withError(objective, point)) : sortable(objective.values[point])),
          type: "num",
          className: "score",
        },
        number((point) => columns.expected[point]),
        { data: (row, type) => (type === "sort" ? 1 - columns.tied[row.point] : columns.tied[row.point] ? "tied" : "") },
        number((point) => columns.regret[point], 2),
        { data: (row, type) => (type === "sort" || type === "type" ? columns.lost[row.point] : columns.lost[row.point] ? `${columns.lost[row.point]} of ${columns.trainings[row.point]}` : ""), type: "num" },
        number((point) => parameters[point]),
        number((point) => seconds[point], 2),
      ],
      order: [[1, "asc"]],
      pageLength: 15,
      lengthMenu: [15, 50, 200],
      deferRender: true,
      autoWidth: false,
      rowCallback: (row, { point }) => row.classList.toggle("pick", point === pick),
      language: { search: "Search", lengthMenu: "_MENU_ a page", info: "_START_ to _END_ of _TOTAL_", infoFiltered: "(of _MAX_)", infoEmpty: "none" },
    });
    const filters = element("table-filters");
    axes.forEach((axis, at) => {
      const label = make("label", `${axis.label} `);
      const select = make("select", undefined, { "data-axis": at });
      fillSelect(select, ["any", ...axis.values.map(shown)], 0);
      label.append(select);
      filters.append(label);
    });
    filters.addEventListener("submit", (event) => event.preventDefault());
    filters.addEventListener("input", () => {
      const wanted = [...filters.querySelectorAll("select")].map((select) => [Number(select.dataset.axis), Number(select.value) - 1]).filter(([, value]) => value >= 0);
      const [tied, lost] = [element("only-tied").checked, element("only-lost").checked];
      table.search.fixed("filters", (text, { point }) =>
        wanted.every(([at, value]) => code(point, at) === value) && (!tied || columns.tied[point] > 0) && (!lost || columns.lost[point] > 0));
      table.draw();
    });
    let shownRows = table.page.len();
    addEventListener("beforeprint", () => { shownRows = table.page.len(); table.page.len(50).draw(); });
    addEventListener("afterprint", () => table.page.len(shownRows).draw());
  }

  // ---- One configuration ---------------------------------------------------------------------

  function openPoint(point) {
    tell(null, "");
    const dialog = element("point");
    element("point-title").textContent = describe(point);
    const says = [`Rank ${columns.rank[point].toLocaleString("en-US")} of ${count.toLocaleString("en-US")}.`];
    const { values, label } = metrics[0];
    if (Number.isFinite(values[point])) says.push(`${label} ${withError(metrics[0], point)}.`);
    if (Number.isFinite(columns.expected[point])) says.push(`Expect ${format(columns.expected[point])} when it is trained again.`);
    if (columns.tied[point]) says.push("It cannot be told apart from the best.");
    if (point === pick) says.push("It is the pick.");
    element("point-says").textContent = says.join(" ");
    element("point-yaml").textContent = yamlOf(point);
    const several = new Set(trainings.folds).size > 1;
    const rows = trainings.repetitions.map((repetition, place) => {
      const at = point * trainings.count + place;
      const name = several ? `${repetition}, fold ${trainings.folds[place]}` : `${repetition}`;
      return [name, format(trainings.scores[at]) || "—", trainings.statuses[trainings.status[at]], `${trainings.epochs[at] || "—"}`];
    });
    fillTable(element("point-trainings"), "Trainings of this configuration", ["Repetition", label, "Status", "Epochs"], rows);
    fillTable(
      element("point-numbers"),
      "Means over repetitions",
      ["Number", "Value", "± se"],
      metrics.map((metric) => [metric.label, format(metric.values[point]) || "—", format(metric.errors[point], 2) || "—"]),
    );
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    const curve = curveOf(point, "this configuration");
    drawCurves("point-curve", curve, label.replace(/^(validation|training) /, ""));
    element("point-curve-says").textContent = curve.length ? BAND : curvePlace.size < count && columns.lost[point] < columns.trainings[point]
      ? `This page holds the curves of the ${curvePlace.size.toLocaleString("en-US")} best configurations; history.parquet has all.`
      : "No training of it has a curve.";
  }

  element("point-close").addEventListener("click", () => element("point").close());

  // ---- Start ---------------------------------------------------------------------------------

  element("fixed-values").textContent = Object.entries(numbers.fixed).map(([name, value]) => `${name}: ${value}`).join(", ") || "none";
  setUpMap();
  drawEffects();
  setUpTable();
  setUpCurves();
})();
