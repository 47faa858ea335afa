/* Put at the end of a copy of a page by cli_report.sh, and run in a browser: uses the page as a
 * person would, and leaves what happened in <pre id="verdict">, one line for each check. */
"use strict";
{
const lines = [];
window.addEventListener("error", (event) => lines.push("error: " + event.message));

const check = (what, ok) => lines.push(`${ok ? "ok" : "FAILED"}: ${what}`);
const $ = (selector) => document.querySelector(selector);
const shown = () => parseInt($("#rows-count").textContent.replace(/,/g, ""), 10);
const rowsOf = (table) => [...table.tBodies[0].rows].filter((row) => !row.hidden);
const column = (table, name) => [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === name);
const texts = (table, name) => rowsOf(table).map((row) => row.cells[column(table, name)].textContent);
const press = (table, name) => table.tHead.rows[0].cells[column(table, name)].querySelector("button").click();

function choose(selector, value) {
    $(selector).value = value;
    $(selector).dispatchEvent(new Event($(selector).localName === "input" ? "input" : "change"));
}

function isSorted(values, direction) {
    return values.every((value, i) => i === 0 || direction * (value - values[i - 1]) >= 0);
}

function checkImages(all) {
    const grid = $("#rows-view table");
    const total = all.rows.length;
    const bad = all.rows.filter((row) => row[2] < 0).length;
    const wrong = all.rows.filter((row) => row[2] >= 0 && row[2] !== row[1]).length;
    check("all rows are counted", shown() === total);
    check("a page of them is in the document", rowsOf(grid).length === Math.min(50, total));
    choose("#rows-kind", "wrong");
    check("the wrong ones", shown() === wrong && texts(grid, "Result").every((text) => text.includes("wrong")));
    choose("#rows-kind", "not usable");
    check("the bad ones", shown() === bad && bad > 0);
    choose("#rows-kind", "right");
    check("the right ones", shown() === total - wrong - bad);
    choose("#rows-kind", "all");
    const path = all.rows[total - 1][0];
    choose("#rows-text", path.toUpperCase());
    check("one file by its name", shown() === 1 && texts(grid, "File")[0] === path);
    choose("#rows-text", "no file has this name");
    check("none", shown() === 0 && rowsOf(grid).length === 0);
    choose("#rows-text", "");
    const label = all.rows[0][1];
    choose("#rows-label", String(label));
    check("one label", shown() === all.rows.filter((row) => row[1] === label).length);
    choose("#rows-label", "");

    choose("#rows-kind", "right");
    const scores = () => texts(grid, "Score").map(parseFloat);
    press(grid, "Score");
    check("scores fall", isSorted(scores(), -1) && scores().length > 0);
    press(grid, "Score");
    check("scores rise", isSorted(scores(), 1));
    choose("#rows-kind", "all");
    press(grid, "#");
    check("the order of the set", isSorted(texts(grid, "#").map(Number), 1) && texts(grid, "#")[0] === "1");

    if (total > 50) {
        $("#rows-next").click();
        check("the next page", texts(grid, "#")[0] === "51");
        $("#rows-back").click();
    }
    const first = grid.tBodies[0].rows[0];
    const key = (name) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
    first.focus();
    key("Enter");
    check("Enter opens a row", first.getAttribute("aria-expanded") === "true" && first.nextElementSibling.className === "detail");
    key("Enter");
    check("and closes it", first.getAttribute("aria-expanded") === "false");
    key("ArrowDown");
    check("the arrow goes on", document.activeElement === grid.tBodies[0].rows[1]);
}

function checkClasses() {
    const table = $("#classes table");
    press(table, "Recall");
    const recall = texts(table, "Recall").map(parseFloat).filter((value) => !Number.isNaN(value));
    check("classes by recall", isSorted(recall, -1) && recall.length > 0);
    press(table, "Class");
    check("classes by name", texts(table, "Class").length > 0 && table.tHead.rows[0].cells[0].getAttribute("aria-sort") === "ascending");
}

function checkConfusion(all) {
    const button = $("#confusion button");
    const {label, prediction} = button.closest("[data-label]").dataset;
    button.click();
    check("a cell lists its images", shown() === all.rows.filter((row) => row[1] === +label && row[2] === +prediction).length && shown() > 0);
    const canvas = $("#confusion canvas");
    if (!canvas) return;
    const readout = $(".readout").textContent;
    canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
    check("an arrow moves in the matrix", $(".readout").textContent !== readout);
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    check("the matrix is drawn", new Set(new Uint32Array(pixels.buffer)).size > 2);
}

function checkTheme() {
    const background = () => getComputedStyle(document.body).backgroundColor;
    const select = $("nav select");
    const was = {};
    for (const theme of ["light", "dark"]) {
        select.value = theme;
        select.dispatchEvent(new Event("change"));
        was[theme] = background();
    }
    check("light and dark differ", was.light !== was.dark);
}

function run() {
    const all = JSON.parse($("#rows").textContent);
    checkImages(all);
    checkClasses();
    checkConfusion(all);
    checkTheme();
    check("no text became markup", window.hacked === undefined && $("main img[src='x']") === null);
    check("every picture is whole", [...document.images].every((image) => image.complete && image.naturalWidth > 0));
    check("everything fits", document.documentElement.scrollWidth <= document.documentElement.clientWidth);
}

const timer = setInterval(() => {
    if (document.documentElement.dataset.ready !== "true") return;
    clearInterval(timer);
    try {
        run();
    } catch (problem) {
        lines.push("error: " + problem.stack);
    }
    const verdict = document.createElement("pre");
    verdict.id = "verdict";
    verdict.textContent = "\n" + lines.join("\n") + "\nend\n";
    document.body.append(verdict);
}, 50);
}
