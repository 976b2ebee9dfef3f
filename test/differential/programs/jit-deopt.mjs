// v8: functions optimized before the midpoint, deoptimized after it by new shapes, and optimized again.
function area(shape) {
  return shape.width * shape.height + (shape.extra ?? 0);
}

function sum(count, make) {
  let total = 0;
  for (let index = 0; index < count; index++) total = (total + area(make(index))) % 1_000_003;
  return total;
}

const small = sum(200_000, (index) => ({ width: index % 7, height: 3 }));
await globalThis.midpoint?.();
const swapped = sum(100_000, (index) => ({ height: 3, width: index % 7 }));
const doubles = sum(100_000, (index) => ({ width: index / 2, height: 0.5, extra: 1 }));
class Shape {
  constructor(index) {
    this.width = index;
  }
  get height() {
    return 2;
  }
}
const classes = sum(100_000, (index) => new Shape(index));
const big = (() => {
  try {
    return sum(10, () => ({ width: 1n, height: 2n }));
  } catch (error) {
    return error.name;
  }
})();
console.log(small, swapped, doubles, classes, big);
