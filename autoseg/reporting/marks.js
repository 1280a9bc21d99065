// Marks of the cases of a report: pass, fail or needs-edit, and a comment; kept by the browser, exported as CSV.
"use strict";

// `data` is the document of the page, `current()` the number of the case that is shown.
function reviewMarks(data, current) {
  const KINDS = ["pass", "fail", "needs-edit"];
  const $ = (id) => document.getElementById(id);
  const storageKey = `autoseg-marks-${data.key}`;
  let marks = {};
  let kept = true; // whether nothing is lost when the page is closed

  try {
    marks = JSON.parse(localStorage.getItem(storageKey)) || {};
  } catch {
    marks = {};
  }

  function of(name) {
    return marks[name] || { mark: "", comment: "" };
  }

  function change(changes) {
    const name = data.cases[current()].case;
    marks[name] = { ...of(name), ...changes };
    try {
      localStorage.setItem(storageKey, JSON.stringify(marks));
      kept = true;
    } catch {
      kept = false; // a browser that keeps nothing for files: the page asks before it is left
    }
    show();
  }

  // The mark of the shown case; the same mark again takes it away.
  function toggle(mark) {
    change({ mark: of(data.cases[current()].case).mark === mark ? "" : mark });
  }

  function show() {
    const count = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
    data.cases.forEach((one, index) => {
      const { mark } = of(one.case);
      if (mark) count[mark] += 1;
      document.querySelector(`[data-case="${index}"] .mark`).textContent = mark;
    });
    const { mark, comment } = of(data.cases[current()].case);
    document.querySelectorAll("[data-mark]").forEach((button) => (button.ariaPressed = String(button.dataset.mark === mark)));
    if ($("comment") !== document.activeElement) $("comment").value = comment;
    const present = KINDS.filter((kind) => count[kind]);
    const total = present.reduce((sum, kind) => sum + count[kind], 0);
    const parts = present.map((kind) => `${count[kind]} ${kind}`).join(", ");
    $("marked").textContent = `${total} of ${data.cases.length} marked${total ? `: ${parts}` : ""}`;
  }

  function csv() {
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const rows = data.cases
      .map((one) => ({ ...one, ...of(one.case) }))
      .filter((one) => one.mark || one.comment)
      .map((one) => [one.case, one.domain, one.subject, one.session, one.mark, one.comment]);
    const header = ["case", "domain", "subject", "session", "mark", "comment"];
    return [header, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = data.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    kept = true;
  }

  document.querySelectorAll("[data-mark]").forEach((button) => (button.onclick = () => toggle(button.dataset.mark)));
  $("comment").oninput = () => change({ comment: $("comment").value.trim() });
  $("export").onclick = save;
  window.addEventListener("beforeunload", (event) => {
    if (!kept) event.preventDefault();
  });
  return { show, toggle };
}
