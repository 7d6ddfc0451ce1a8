"use strict";
// The page of a journey: arrow keys go from step to step, hover and focus show reasons, a button hides the gold answer.
(() => {
  const tip = document.getElementById("tip");
  let shown = null;

  function show(cell) {
    if (shown !== cell) hide();
    shown = cell;
    tip.textContent = cell.dataset.tip;
    tip.hidden = false;
    cell.setAttribute("aria-describedby", "tip");
    place();
  }

  function place() {
    if (!shown) return;
    const at = shown.getBoundingClientRect();
    const width = tip.offsetWidth;
    const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, innerWidth - width - 8));
    const below = at.bottom; // without a gap, so that the pointer can move onto it
    tip.style.left = `${left}px`;
    tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : Math.max(8, at.top - tip.offsetHeight)}px`;
  }

  function hide() {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }

  function go(target) {
    if (!target) return false;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: target.matches(".stop") ? "nearest" : "start", inline: "nearest" });
    return true;
  }

  // Links within the page leave the address alone: the table keeps its state there.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const button = event.target.closest("button.hide");
    if (link && link.getAttribute("href").length > 1) {
      const target = document.getElementById(link.getAttribute("href").slice(1));
      if (target && go(target)) event.preventDefault();
    } else if (button) {
      const blind = button.closest(".journey, .list").classList.toggle("blind");
      button.setAttribute("aria-pressed", String(blind));
      button.textContent = `${blind ? "Show" : "Hide"} the gold answer`;
    }
  });

  const FORTH = new Set(["ArrowRight", "ArrowDown"]);
  const BACK = new Set(["ArrowLeft", "ArrowUp"]);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const by = FORTH.has(event.key) ? 1 : BACK.has(event.key) ? -1 : 0;
    const here = event.target.closest(".stop") || (event.target.matches(".step") ? event.target : null);
    if (!by || !here) return;
    const all = [...here.closest(".journey").querySelectorAll(here.matches(".stop") ? ".stop" : ".step")];
    go(all[all.indexOf(here) + by]);
    event.preventDefault();
  });

  const cellOf = (event) => event.target.closest && event.target.closest("[data-tip]");
  for (const kind of ["mouseover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      if (cellOf(event)) show(cellOf(event));
      else if (kind === "mouseover" && event.target !== tip) hide();
    });
  }
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", place, true);
})();
