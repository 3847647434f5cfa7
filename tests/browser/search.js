// Types a word into the search of a page of the site, and writes what is found into the page.
(() => {
  const roots = [document];
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (given) {
    const root = attach.call(this, { ...given, mode: "open" });
    roots.push(root);
    return root;
  };
  const first = (kind) => roots.map((root) => root.querySelector(kind)).find(Boolean);
  const until = (ask) =>
    new Promise((done) => {
      const look = () => {
        const found = ask();
        found ? done(found) : setTimeout(look, 20);
      };
      look();
    });
  addEventListener("load", async () => {
    (await until(() => first(".md-search__button"))).click();
    const input = await until(() => first("input[type=text], input[type=search], input:not([type])"));
    input.focus();
    input.value = "WORD";
    input.dispatchEvent(new Event("input", { bubbles: true }));
    const links = () => roots.slice(1).flatMap((root) => [...root.querySelectorAll("a[href]")]).map((link) => link.href);
    const found = await until(() => links().length && links());
    const shown = document.createElement("pre");
    shown.id = "found";
    shown.textContent = JSON.stringify(found);
    document.body.append(shown);
  });
})();
