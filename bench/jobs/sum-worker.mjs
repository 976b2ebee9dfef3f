// What piscina runs of sum.mjs.

export default (table) => {
  let total = 0;
  for (const { amount, name } of table) {
    let hash = 0;
    for (let n = 0; n < name.length; n++) hash = (hash * 31 + name.charCodeAt(n)) | 0;
    total += amount + (hash & 7);
  }
  return total;
};
