// node run.mjs SCRIPT CASE URL: run one case of a script against the server at URL.
const [script, name, url] = process.argv.slice(2);
const cases = await import(`./${script}`);
await cases[name](cases.connect(url), url);
console.log("passed");
