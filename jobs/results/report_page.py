"""Style and behaviour of a report's page. Everything works without scripts but sorting, hiding and choosing."""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2126;--soft:#5d6874;--rule:#dfe3e8;--band:#f5f7f9;
--card:#f7f9fb;--up:#00639c;--down:#b84a00;--good:#00805c;--bad:#b84a00;--link:#00639c}
@media(prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e6eaee;--soft:#9aa6b2;--rule:#323a42;--band:#1b2127;
--card:#1b2127;--up:#6ec1f2;--down:#f2a35e;--good:#4fd1a5;--bad:#f2a35e;--link:#6ec1f2}
svg [fill="#0072B2"]{fill:#3499dd}svg [stroke="#0072B2"]{stroke:#3499dd}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:28px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}h2{font-size:20px;margin:44px 0 10px;padding-top:14px;
border-top:1px solid var(--rule)}h3{font-size:15px;margin:26px 0 6px}
.sub,.note,figcaption,.soft{color:var(--soft)}.sub{margin:0 0 18px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0 0}a{color:var(--link)}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin:18px 0 0}
.card{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 16px;min-width:150px}
.card b{display:block;font-size:22px;line-height:1.3;font-variant-numeric:tabular-nums}
.card span{color:var(--soft);font-size:13px}
.warn{border-left:4px solid #E69F00;background:var(--card);padding:8px 14px;margin:16px 0 0}
.warn p{margin:2px 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13.5px}
th,td{padding:3px 7px;text-align:right;white-space:nowrap;vertical-align:top}
th:first-child,td:first-child,.text th,.text td{text-align:left}
thead th{border-bottom:2px solid var(--ink);padding:0}
.text thead th{padding:3px 8px}
thead button{all:unset;cursor:pointer;display:block;width:100%;box-sizing:border-box;padding:4px 7px;font-weight:600}
thead button:focus-visible{outline:2px solid var(--link)}
thead th[aria-sort] button::after{content:" \\2195";opacity:.25}
thead th[aria-sort=ascending] button::after{content:" \\2191";opacity:1}
thead th[aria-sort=descending] button::after{content:" \\2193";opacity:1}
.sortable tbody tr:first-child>*{border-top:1px solid var(--rule);padding-top:6px}
.sortable tbody tr:last-child>*{padding-bottom:6px}
.sortable tbody th{font-weight:600}
.sortable tbody tr.paper>*,.sortable tbody tr.difference>*{color:var(--soft);font-size:12.5px;font-weight:400;
padding-top:0;padding-bottom:0}
.sortable tbody tr.paper th,.sortable tbody tr.difference th{padding-left:20px}
.sortable{width:100%}.sortable td,.sortable thead button{padding-left:3px;padding-right:12px}
td i{display:inline-block;width:0;font-style:normal;font-weight:400;overflow:visible;white-space:nowrap}
td.best{font-weight:700}td small{display:block;color:var(--soft);font-size:11px;font-weight:400;line-height:1.2}
td.avg,th.avg{background:var(--band)}
.sortable tr.difference td.up{color:var(--up)}.sortable tr.difference td.down{color:var(--down)}
.notes{font-size:13px;color:var(--soft);margin:10px 0 0;padding-left:18px}
figure{margin:22px 0 0}section>figure{overflow-x:auto}section>figure>svg{min-width:720px}
figcaption,p.note{font-size:13px;margin-bottom:2px}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font:11.5px system-ui,sans-serif}
svg .axis,svg .group{fill:var(--ink);font-size:12.5px}
svg .grid{stroke:var(--rule);stroke-width:1}svg .frame{stroke:var(--soft);stroke-width:1}
svg .zero{stroke:var(--ink);stroke-width:1.4}svg .band{fill:var(--band)}
svg .paper{stroke:var(--ink);stroke-width:1.6}svg .dot{fill:var(--paper);stroke-width:1}
svg .curve{fill:none;stroke-width:1.5;stroke-linejoin:round}svg .dev{fill:var(--paper);stroke-width:1.4}
svg .off{display:none}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(430px,100%),1fr));gap:8px 24px}
.legend{display:flex;flex-wrap:wrap;gap:2px 6px;list-style:none;margin:8px 0 0;padding:0;font-size:13px}
.legend button{font:inherit;color:inherit;background:none;border:1px solid transparent;border-radius:6px;
padding:2px 8px;cursor:pointer;display:flex;gap:6px;align-items:center}
.legend button:hover{border-color:var(--rule)}.legend button[aria-pressed=false]{opacity:.35}
.legend svg{width:14px;height:14px;flex:none}
.pick{display:flex;flex-wrap:wrap;gap:8px 16px;margin:10px 0}
.pick select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--rule);border-radius:6px;
padding:3px 6px;margin-left:6px}
article{border:1px solid var(--rule);border-radius:8px;padding:8px 14px;margin:10px 0}
article table{width:100%}article td{white-space:normal;padding:3px 8px}article td:nth-child(-n+3){white-space:nowrap}
article td:last-child{width:75%;overflow-wrap:anywhere;text-align:start}
article p{margin:0 0 4px}.yes{color:var(--good);font-weight:700}.no{color:var(--bad);font-weight:700}
details{margin:8px 0}summary{cursor:pointer}
pre{font-size:12.5px;background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:10px;overflow:auto}
.sortable thead button{white-space:normal;min-width:44px;font-size:12px;line-height:1.25}
.asked{margin:2px 0 6px;overflow-wrap:anywhere}
article thead th{border-bottom:1px solid var(--rule);color:var(--soft);font-weight:400}
@media(max-width:640px){body{font-size:14px}main{padding:18px 12px 40px}h1{font-size:21px}
.cards{gap:8px}.card{min-width:0;padding:6px 12px}.card b{font-size:18px}
.scroll th:first-child,.scroll td:first-child{position:sticky;left:0;background:var(--paper);white-space:normal;
min-width:92px;max-width:112px;z-index:1}.scroll td.avg,.scroll th.avg{background:none}
.sortable tbody tr.paper th,.sortable tbody tr.difference th{padding-left:10px}
.notes{padding-left:14px}svg text{font-size:13px}
article{padding:8px 10px}article .text thead{display:none}article tr{display:block;padding:4px 0;
border-top:1px solid var(--rule)}article td,article td:last-child{display:inline-block;width:auto;padding:1px 8px 1px 0}
article td:last-child{display:block;width:100%}article td:first-child{position:static;font-weight:600;max-width:none}}
@media print{.pick,nav{display:none}}
"""

SCRIPT = """
'use strict';
for (const button of document.querySelectorAll('.sortable thead button')) {
  button.addEventListener('click', () => {
    const head = button.closest('th'), table = head.closest('table');
    const column = [...head.parentNode.children].indexOf(head);
    const first = column ? 'descending' : 'ascending', other = column ? 'ascending' : 'descending';
    const order = head.getAttribute('aria-sort') === first ? other : first;
    for (const th of head.parentNode.children) th.setAttribute('aria-sort', 'none');
    head.setAttribute('aria-sort', order);
    const value = body => {
      const cell = body.rows[0].cells[column];
      if (!column) return cell.textContent;
      return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
    };
    const sign = order === 'ascending' ? 1 : -1;
    const bodies = [...table.tBodies].map(body => [value(body), body]);
    bodies.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (column ? a - b : a.localeCompare(b));
    });
    for (const [, body] of bodies) table.append(body);
  });
}
for (const button of document.querySelectorAll('.legend button')) {
  button.addEventListener('click', () => {
    const shown = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', shown);
    const drawn = button.closest('section').querySelectorAll(`svg [data-s="${button.dataset.of}"]`);
    for (const part of drawn) part.classList.toggle('off', !shown);
  });
}
for (const box of document.querySelectorAll('.examples')) {
  const [language, kind] = box.querySelectorAll('select');
  const show = () => {
    for (const item of box.querySelectorAll('article')) {
      const right = !language.value || item.dataset.language === language.value;
      item.hidden = !(right && (!kind.value || item.dataset.kind === kind.value));
    }
  };
  language.selectedIndex = Math.min(1, language.options.length - 1);
  language.addEventListener('change', show);
  kind.addEventListener('change', show);
  show();
}
"""
