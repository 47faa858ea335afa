/* The pages of `vitc eval --report` and `vitc check --report`. Everything here works on what the page
 * already holds; without it the page still shows all but the large confusion matrix and the table
 * of all images. */
"use strict";
(() => {
const root = document.documentElement;
const number = new Intl.NumberFormat("en");

/* make("td", {class: "num"}, "text" or nodes...); functions become listeners. */
function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(key, value);
        else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children);
    return element;
}

function data(id) {
    const element = document.getElementById(id);
    return element && JSON.parse(element.textContent);
}

const percent = (part, digits = 1) => (100 * part).toFixed(digits) + "\u00a0%";

/* ---- the bar at the top: sections, light and dark ---- */

const themed = []; /* what draws with colors: called again when they change */

function setTheme(name) {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    for (const draw of themed) draw();
}

function buildBar() {
    const bar = document.getElementById("bar");
    const list = make("ul");
    const links = new Map();
    for (const section of document.querySelectorAll("section[id]")) {
        const link = make("a", {href: "#" + section.id}, section.querySelector("h2").textContent);
        links.set(section, link);
        list.append(make("li", {}, link));
    }
    const select = make("select", {"aria-label": "Colors", change: () => setTheme(select.value)});
    for (const name of ["system", "light", "dark"])
        select.append(make("option", {value: name}, name[0].toUpperCase() + name.slice(1)));
    bar.append(make("div", {}, list, select));

    const seen = new Set();
    const watch = new IntersectionObserver((entries) => {
        for (const entry of entries) {
            if (entry.isIntersecting) seen.add(entry.target);
            else seen.delete(entry.target);
        }
        let current;
        for (const [section, link] of links) {
            if (current === undefined && seen.has(section)) {
                current = section;
                link.setAttribute("aria-current", "true");
            } else {
                link.removeAttribute("aria-current");
            }
        }
    }, {rootMargin: "-80px 0px -50% 0px"});
    for (const section of links.keys()) watch.observe(section);

    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(select.value));
    addEventListener("beforeprint", () => setTheme("light"));
    addEventListener("afterprint", () => setTheme(select.value));
}

/* What a custom property of the style is at the moment. */
function color(name) {
    const probe = make("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
}

/* ---- headings that sort ---- */

/* Turns the heading into a button; sort(direction) is called with 1 or -1. */
function makeSortable(heading, first, sort) {
    const button = make("button", {type: "button"}, ...heading.childNodes);
    button.addEventListener("click", () => {
        const was = heading.getAttribute("aria-sort");
        const direction = was === null ? first : was === "ascending" ? -1 : 1;
        for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        sort(direction);
    });
    heading.replaceChildren(button);
}

const collator = new Intl.Collator("en", {numeric: true, sensitivity: "base"});

/* What is not there (NaN) comes last in both directions. */
function compare(a, b, direction) {
    if (typeof a === "string") return direction * collator.compare(a, b);
    if (a !== a || b !== b) return (a !== a) - (b !== b);
    return direction * (a - b);
}

const SEARCH_FROM = 20; /* rows: a table of so many gets a search field */

function buildTable(table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
        const numeric = heading.classList.contains("num");
        makeSortable(heading, numeric ? -1 : 1, (direction) => {
            const keyed = rows.map((row) => {
                const text = row.cells[column].textContent;
                return [numeric ? parseFloat(text.replace(/,/g, "")) : text, row];
            });
            keyed.sort((a, b) => compare(a[0], b[0], direction));
            body.append(...keyed.map((pair) => pair[1]));
        });
    });
    if (rows.length < SEARCH_FROM) return;
    const count = make("output", {"aria-live": "polite"}, `${number.format(rows.length)} rows`);
    const search = make("input", {type: "search", input: () => {
        const wanted = search.value.toLowerCase();
        let shown = 0;
        for (const row of rows) {
            row.hidden = !row.textContent.toLowerCase().includes(wanted);
            shown += !row.hidden;
        }
        count.textContent = `${number.format(shown)} of ${number.format(rows.length)} rows`;
    }});
    const box = table.closest(".scroll") || table;
    box.before(make("div", {class: "controls"}, make("label", {}, "Search", search), count));
}

/* ---- the confusion matrix of many classes ---- */

const LENS = 11; /* cells of the close-up, in each direction */

function buildConfusion(view, matrix, labels, showImages) {
    const classes = matrix.classes, size = classes.length;
    const support = new Float64Array(size), right = new Float64Array(size);
    for (const [row, column, count] of matrix.cells) {
        support[row] += count;
        if (row === column) right[row] += count;
    }
    const orders = {
        "as in the model": () => 0,
        "by name": (a, b) => collator.compare(labels[classes[a]], labels[classes[b]]),
        "by recall": (a, b) => compare(right[a] / support[a], right[b] / support[b], 1),
    };
    const canvas = make("canvas", {tabindex: 0, role: "img"});
    const lens = make("canvas", {"aria-hidden": "true"});
    const readout = make("p", {class: "readout", "aria-live": "polite"});
    const order = make("select", {change: arrange});
    for (const name of Object.keys(orders)) order.append(make("option", {}, name));
    let classAt, counts, at = {row: 0, column: 0};

    /* The cells in the order that is shown: counts.get(row * size + column). */
    function arrange() {
        classAt = [...classes.keys()].sort(orders[order.value]);
        const place = new Uint32Array(size);
        classAt.forEach((index, position) => { place[index] = position; });
        counts = new Map();
        for (const [row, column, count] of matrix.cells)
            counts.set(place[row] * size + place[column], count);
        draw();
    }

    const name = (position) => labels[classes[classAt[position]]];

    function paintCell(context, colors, row, count, x, y, side, isRight) {
        context.globalAlpha = 0.2 + 0.8 * Math.sqrt(count / support[classAt[row]]);
        context.fillStyle = isRight ? colors.right : colors.wrong;
        context.fillRect(x, y, side, side);
        context.globalAlpha = 1;
    }

    function draw() {
        const colors = {right: color("right"), wrong: color("wrong"), sunk: color("sunk"),
                        text: color("text"), soft: color("soft"), card: color("card")};
        const pixels = Math.max(200, Math.round((canvas.clientWidth || 600) * devicePixelRatio));
        if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
        const context = canvas.getContext("2d");
        const cell = pixels / size, side = Math.max(cell - (cell > 6 ? 1 : 0), 2 * devicePixelRatio);
        context.fillStyle = colors.card;
        context.fillRect(0, 0, pixels, pixels);
        for (const [key, count] of counts) {
            const row = Math.floor(key / size), column = key % size;
            paintCell(context, colors, row, count, column * cell, row * cell, side, row === column);
        }
        const reach = Math.max(cell, 9 * devicePixelRatio);
        context.strokeStyle = colors.text;
        context.lineWidth = 1.5 * devicePixelRatio;
        context.strokeRect((at.column + 0.5) * cell - reach / 2, (at.row + 0.5) * cell - reach / 2,
                           reach, reach);
        drawLens(colors);
        tell();
    }

    function drawLens(colors) {
        const side = 24, left = 116, top = 96, width = left + LENS * side + 44;
        const height = top + LENS * side + 4;
        lens.width = width * devicePixelRatio;
        lens.height = height * devicePixelRatio;
        lens.style.width = width + "px";
        const context = lens.getContext("2d");
        context.scale(devicePixelRatio, devicePixelRatio);
        context.font = "11px system-ui, sans-serif";
        context.textBaseline = "middle";
        const cells = Math.min(LENS, size);
        const begin = (middle) => Math.max(0, Math.min(size - cells, middle - (cells >> 1)));
        const firstRow = begin(at.row), firstColumn = begin(at.column);
        for (let i = 0; i < cells; i++) {
            const middle = top + (i + 0.5) * side;
            context.fillStyle = firstRow + i === at.row ? colors.text : colors.soft;
            context.textAlign = "right";
            context.fillText(shorten(context, name(firstRow + i), left - 8), left - 6, middle);
            context.save();
            context.translate(left + (i + 0.5) * side, top - 6);
            context.rotate(-Math.PI / 3);
            context.fillStyle = firstColumn + i === at.column ? colors.text : colors.soft;
            context.textAlign = "left";
            context.fillText(shorten(context, name(firstColumn + i), 92), 0, 0);
            context.restore();
            for (let j = 0; j < cells; j++) {
                const row = firstRow + i, column = firstColumn + j;
                const x = left + j * side, y = top + i * side;
                const count = counts.get(row * size + column) || 0;
                context.fillStyle = colors.sunk;
                context.fillRect(x, y, side - 1, side - 1);
                if (count === 0) continue;
                paintCell(context, colors, row, count, x, y, side - 1, row === column);
                context.fillStyle = colors.text;
                context.textAlign = "center";
                context.fillText(count > 999 ? Math.round(count / 1000) + "k" : count,
                                 x + (side - 1) / 2, middle);
            }
        }
        context.strokeStyle = colors.text;
        context.lineWidth = 1.5;
        context.strokeRect(left + (at.column - firstColumn) * side, top + (at.row - firstRow) * side,
                           side - 1, side - 1);
    }

    function shorten(context, text, width) {
        if (context.measureText(text).width <= width) return text;
        let length = text.length;
        while (length > 1 && context.measureText(text.slice(0, length) + "…").width > width) length--;
        return text.slice(0, length) + "…";
    }

    function tell() {
        const count = counts.get(at.row * size + at.column) || 0;
        const all = support[classAt[at.row]];
        const share = all > 0 ? ` (${percent(count / all)})` : "";
        const images = `${number.format(count)} of ${number.format(all)} images${share}`;
        readout.replaceChildren(make("strong", {}, name(at.row)), at.row === at.column
            ? `: ${images} recognized`
            : make("span", {}, `: ${images} taken for `, make("strong", {}, name(at.column))));
        canvas.setAttribute("aria-label", "Confusion matrix, true classes from top to bottom, "
            + "predicted ones from left to right; arrow keys move, Enter lists the images. "
            + readout.textContent);
    }

    function move(row, column) {
        at = {row: Math.max(0, Math.min(size - 1, row)), column: Math.max(0, Math.min(size - 1, column))};
        draw();
    }

    /* Where cells are smaller than a finger's or mouse's aim, the nearest that counts something. */
    function aim(event) {
        const box = canvas.getBoundingClientRect();
        const cell = box.width / size;
        const column = Math.floor((event.clientX - box.left) / cell);
        const row = Math.floor((event.clientY - box.top) / cell);
        const reach = Math.floor(3 / cell);
        let best = [row, column], nearest = Infinity;
        for (let r = row - reach; r <= row + reach; r++)
            for (let c = column - reach; c <= column + reach; c++) {
                if (r < 0 || c < 0 || r >= size || c >= size || !counts.has(r * size + c)) continue;
                const distance = (r - row) ** 2 + (c - column) ** 2;
                if (distance < nearest) [best, nearest] = [[r, c], distance];
            }
        move(...best);
    }

    const list = () => showImages(classes[classAt[at.row]], classes[classAt[at.column]]);
    canvas.addEventListener("pointermove", aim);
    canvas.addEventListener("click", (event) => { aim(event); list(); });
    canvas.addEventListener("keydown", (event) => {
        const step = event.shiftKey ? 10 : 1;
        const steps = {ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step]};
        if (event.key === "Enter") list();
        else if (steps[event.key]) move(at.row + steps[event.key][0], at.column + steps[event.key][1]);
        else return;
        event.preventDefault();
    });
    view.append(
        make("div", {class: "controls"}, make("label", {}, "Classes", order)),
        make("div", {class: "split"},
             make("div", {class: "canvas"}, canvas, readout),
             make("div", {class: "lens"}, lens,
                  make("p", {class: "soft only-screen"}, "Point at the matrix, or move in it with the arrow keys "
                       + "(Shift: ten at a time). A click or Enter lists the images."))));
    themed.push(draw);
    new ResizeObserver(draw).observe(canvas);
    arrange();
}

/* ---- all images ---- */

const PAGE = 50; /* rows shown at once */
const SCORE_UNIT = 1e-5, LOSS_UNIT = 1e-3, TIME_UNIT = 0.1;

/* A row as the page holds it: [path, label, prediction, rank, score, loss, width, height, ms,
 * class, score, class, score, ...], or [path, label, -status, reason] of a file that could not be
 * used, whose label is -1 where it is not known either; the numbers are whole, in the units above;
 * ms is -1 where it is not known. */
const isBad = (row) => row[2] < 0;
const isRight = (row) => row[2] === row[1];

function buildImages(view, table, labels) {
    const rows = table.rows, statuses = table.statuses;
    const nameOf = (index) => index < 0 ? "" : labels[index];
    const timed = rows.some((row) => row[8] >= 0);
    const value = (at, unit = 1) => (row) => isBad(row) ? NaN : row[at] * unit;
    const columns = [
        {name: "#", numeric: true, key: (row, i) => i, show: (row, i) => number.format(i + 1)},
        {name: "File", key: (row) => row[0], show: (row) => row[0], class: "path"},
        {name: "Result", key: (row) => isBad(row) ? 2 : isRight(row) ? 0 : 1, first: -1, show: verdict},
        {name: "Label", key: (row) => nameOf(row[1]), show: (row) => nameOf(row[1])},
        {name: "Prediction", key: (row) => nameOf(row[2]), show: (row) => nameOf(row[2])},
        {name: "Score", numeric: true, key: value(4, SCORE_UNIT), show: (row) => isBad(row) ? "" : percent(row[4] * SCORE_UNIT)},
        {name: "Rank", numeric: true, key: value(3), show: (row) => isBad(row) ? "" : row[3], hint: "place of the label among the predictions"},
        {name: "Loss", numeric: true, key: value(5, LOSS_UNIT), show: (row) => isBad(row) ? "" : (row[5] * LOSS_UNIT).toFixed(3)},
    ];
    if (timed)
        columns.push({name: "ms", numeric: true, key: value(8, TIME_UNIT), show: (row) => isBad(row) ? "" : (row[8] * TIME_UNIT).toFixed(1)});
    const lowered = rows.map((row) => row[0].toLowerCase());
    const kinds = {
        "all": () => true,
        "wrong": (row) => !isBad(row) && !isRight(row),
        "not in the top 5": (row) => !isBad(row) && row[3] > 5,
        "right": (row) => !isBad(row) && isRight(row),
        "not usable": isBad,
    };
    let sorted = [...rows.keys()], shown = [], page = 0;

    function verdict(row) {
        const [word, kind] = isBad(row) ? [statuses[-row[2]], "bad"] : isRight(row) ? ["right", "right"] : ["wrong", "wrong"];
        return make("span", {class: "verdict " + kind}, {right: "✓ ", wrong: "✗ ", bad: "! "}[kind] + word);
    }

    const text = make("input", {type: "search", id: "rows-text", input: filter});
    const kind = make("select", {id: "rows-kind", change: filter});
    for (const name of Object.keys(kinds)) kind.append(make("option", {}, name));
    const choose = (id, column) => {
        const select = make("select", {id, change: filter}, make("option", {value: ""}, "any"));
        const present = new Set(rows.map((row) => row[column]));
        for (const index of [...present].filter((index) => index >= 0).sort((a, b) => a - b))
            select.append(make("option", {value: index}, labels[index]));
        return select;
    };
    const label = choose("rows-label", 1), prediction = choose("rows-prediction", 2);
    const count = make("output", {"aria-live": "polite", id: "rows-count"});
    const clear = make("button", {type: "button", click: () => {
        text.value = label.value = prediction.value = "";
        kind.value = "all";
        filter();
    }}, "Clear");

    const head = make("tr");
    for (const column of columns) {
        const heading = make("th", {scope: "col", class: column.numeric ? "num" : undefined, title: column.hint}, column.name);
        makeSortable(heading, column.first || (column.numeric && column.name !== "#" ? -1 : 1), (direction) => {
            const keys = rows.map(column.key);
            sorted = [...rows.keys()].sort((a, b) => compare(keys[a], keys[b], direction) || a - b);
            filter();
        });
        head.append(heading);
    }
    head.firstChild.setAttribute("aria-sort", "ascending");
    const body = make("tbody");
    const grid = make("table", {"aria-label": "All images"}, make("thead", {}, head), body);
    const turn = (to) => { page = to; render(); };
    const back = make("button", {type: "button", id: "rows-back", click: () => turn(page - 1)}, "← Back");
    const next = make("button", {type: "button", id: "rows-next", click: () => turn(page + 1)}, "Next →");
    const where = make("span", {class: "soft", "aria-live": "polite"});

    function filter() {
        const wanted = text.value.toLowerCase(), matches = kinds[kind.value];
        const wantedLabel = label.value === "" ? -1 : +label.value;
        const wantedPrediction = prediction.value === "" ? -1 : +prediction.value;
        shown = sorted.filter((index) => {
            const row = rows[index];
            return matches(row) && (wantedLabel < 0 || row[1] === wantedLabel)
                && (wantedPrediction < 0 || row[2] === wantedPrediction)
                && (wanted === "" || lowered[index].includes(wanted));
        });
        page = 0;
        render();
    }

    function render() {
        const first = page * PAGE, last = Math.min(first + PAGE, shown.length);
        body.replaceChildren(...shown.slice(first, last).map(line));
        count.textContent = `${number.format(shown.length)} of ${number.format(rows.length)} images`;
        where.textContent = shown.length === 0 ? "nothing fits" : `${number.format(first + 1)}–${number.format(last)}`;
        back.disabled = page === 0;
        next.disabled = last === shown.length;
    }

    function line(index) {
        const row = rows[index];
        const open = () => toggle(element, row);
        const element = make("tr", {tabindex: 0, "aria-expanded": "false", click: open, keydown: (event) => {
            if (event.target !== element) return;
            const neighbor = {ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling"}[event.key];
            if (event.key === "Enter" || event.key === " ") open();
            else if (neighbor && element[neighbor]) element[neighbor].focus();
            else return;
            event.preventDefault();
        }});
        for (const column of columns)
            element.append(make("td", {class: column.numeric ? "num" : column.class}, column.show(row, index)));
        return element;
    }

    function toggle(element, row) {
        const open = element.getAttribute("aria-expanded") === "true";
        element.setAttribute("aria-expanded", String(!open));
        if (open) element.nextElementSibling.remove();
        else element.after(make("tr", {class: "detail", tabindex: -1},
                                make("td", {colspan: columns.length}, detail(row))));
    }

    function detail(row) {
        if (isBad(row)) return row[3];
        const box = make("div", {class: "guess"});
        for (let i = 9; i + 1 < row.length; i += 2) {
            const bar = document.createElementNS("http://www.w3.org/2000/svg", "svg");
            const fill = document.createElementNS("http://www.w3.org/2000/svg", "rect");
            bar.setAttribute("class", "bar");
            bar.setAttribute("viewBox", "0 0 100 10");
            bar.setAttribute("preserveAspectRatio", "none");
            fill.setAttribute("width", 100 * row[i + 1] * SCORE_UNIT);
            fill.setAttribute("height", 10);
            bar.append(fill);
            box.append(make("span", {class: row[i] === row[1] ? "true" : undefined}, labels[row[i]]), bar,
                       make("span", {class: "num"}, percent(row[i + 1] * SCORE_UNIT, 2)));
        }
        const size = row[6] > 0 ? `${row[6]} × ${row[7]} pixels` : "";
        return make("div", {}, box, make("p", {class: "soft"}, size));
    }

    view.append(
        make("div", {class: "controls"}, make("label", {}, "File", text), make("label", {}, "Show", kind),
             make("label", {}, "Label", label), make("label", {}, "Prediction", prediction), clear, count),
        make("div", {class: "wide"}, grid),
        make("div", {class: "pager"}, back, next, where));
    filter();

    /* For the other parts of the page: lists the images of one cell of the confusion matrix. */
    return (wantedLabel, wantedPrediction) => {
        text.value = "";
        kind.value = "all";
        label.value = String(wantedLabel);
        prediction.value = String(wantedPrediction);
        filter();
        view.closest("section").scrollIntoView();
        text.focus({preventScroll: true});
    };
}

/* ---- all together ---- */

let showImages = () => {};
buildBar();
for (const table of document.querySelectorAll("table.sortable")) buildTable(table);
const labels = data("labels");
const confusionView = document.getElementById("confusion-view");
if (confusionView)
    buildConfusion(confusionView, data("confusion-cells"), labels, (...pair) => showImages(...pair));
for (const element of document.querySelectorAll("[data-label]")) {
    let button = element;
    if (element.localName === "td") {
        button = make("button", {type: "button", class: "cell"}, ...element.childNodes);
        element.append(button);
    }
    button.hidden = false;
    button.addEventListener("click", () => showImages(+element.dataset.label, +element.dataset.prediction));
}
const rowsView = document.getElementById("rows-view");
let built = false;

function buildLast() {
    if (built) return;
    built = true;
    if (rowsView) showImages = buildImages(rowsView, data("rows"), labels);
    root.dataset.ready = "true";
}

/* The table may be long and is at the end of the page: after the first frame, or, in a tab that
 * nobody sees and that has none, after a moment. */
requestAnimationFrame(() => setTimeout(buildLast));
setTimeout(buildLast, 500);
})();
