const box = (e) => { const r = e.getBoundingClientRect(); return { left: r.left, right: r.right, top: r.top, bottom: r.bottom }; };
const parse = (c) => { const p = c.match(/[\d.]+/g).map(Number); return { rgb: p.slice(0, 3), alpha: p.length > 3 ? p[3] : 1 }; };
const light = (rgb) => {
  const [r, g, b] = rgb.map((v) => { const s = v / 255; return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
const ground = (e) => {
  if (e.closest("svg text")) {
    const card = e.closest("svg").querySelector("rect.box");
    if (card) return parse(getComputedStyle(card).fill).rgb;
  }
  for (let up = e; up; up = up.parentElement) {
    const c = parse(getComputedStyle(up).backgroundColor);
    if (c.alpha > 0.99) return c.rgb;
  }
  return [255, 255, 255];
};
const written = [...document.querySelectorAll("body *")].filter((e) =>
  !["SCRIPT", "STYLE", "title"].includes(e.tagName) && e.getClientRects().length &&
  [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
const contrasts = written.map((e) => {
  const style = getComputedStyle(e), svg = e.namespaceURI.includes("svg");
  const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
  return { text: e.textContent.trim().slice(0, 40), tag: e.tagName, ratio: ratio(parse(svg ? style.fill : style.color).rgb, ground(e)),
           needed: size >= 24 || (bold && size >= 18.66) ? 3 : 4.5 };
});
const wide = [...document.querySelectorAll("body *")].filter((e) => e.getClientRects().length)
  .filter((e) => { const r = box(e); return r.right > innerWidth + 1 || r.left < -1; }).map((e) => e.tagName + "." + (e.className.baseVal ?? e.className));
const spilt = [...document.querySelectorAll(".zone g > text")].filter((e) => {
  const card = e.parentElement.querySelector("rect.box"); return box(e).right > box(card).right + 0.5 || box(e).bottom > box(card).bottom + 0.5;
}).map((e) => e.textContent);
const overlaps = [...document.querySelectorAll(".axis text")].map(box).some((r, i, all) => i && r.left < all[i - 1].right - 0.5 && r.right > 0);
const lines = (n) => { const range = document.createRange(); range.selectNodeContents(n); return new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size; };
const broken = [...document.querySelectorAll("thead th, .word, .state, .address, .whole")].flatMap((e) => [...e.childNodes])
  .filter((n) => n.nodeType === 3 && n.textContent.trim() && !n.textContent.trim().includes(" ") && lines(n) > 1).map((n) => n.textContent.trim());
const labels = [...document.querySelectorAll("td[data-label]")].filter((e) => e.getClientRects().length && e.textContent).map((e) => getComputedStyle(e, "::before").content);
parent.document.getElementById("measured").textContent = JSON.stringify({
  width: innerWidth, height: innerHeight, dark: matchMedia("(prefers-color-scheme: dark)").matches,
  ground: getComputedStyle(document.body).backgroundColor, page: document.documentElement.scrollWidth, broken, labels, wide, spilt, overlaps, contrasts,
  answers: [...document.querySelectorAll(".answer")].map((e) => ({ question: e.querySelector("dt").textContent.trim(), text: e.querySelector("dd").innerText.trim(), ...box(e) })),
  smallest: Math.min(...written.map((e) => parseFloat(getComputedStyle(e).fontSize) * (e.closest("svg")?.viewBox?.baseVal?.width ? e.closest("svg").getBoundingClientRect().width / e.closest("svg").viewBox.baseVal.width : 1))),
  text: document.body.innerText, drawn: [...document.querySelectorAll("svg text")].map((e) => e.textContent.trim()).filter(Boolean),
});
