// An order book in memory: what is bought and sold at which price. It knows nothing of disks.

/** @typedef {{ id: number, side: 'buy' | 'sell', price: number, amount: number }} Order */
/** @typedef {{ buy: number, sell: number, price: number, amount: number }} Trade */
/** @typedef {{ place: Order } | { cancel: number }} Command */

export class Book {
  /** In the order in which they came. @type {Map<number, Order>} */
  #orders = new Map();

  /** The same commands in the same order make the same book. @param {Command} command @returns {Trade[]} */
  apply(command) {
    if ('place' in command) return this.#place({ ...command.place });
    this.#orders.delete(command.cancel);
    return [];
  }

  /** @param {Order} order */
  #place(order) {
    const trades = [];
    for (let other = this.#best(order); other !== undefined; other = this.#best(order)) {
      const amount = Math.min(order.amount, other.amount);
      const [buy, sell] = order.side === 'buy' ? [order.id, other.id] : [other.id, order.id];
      trades.push({ buy, sell, price: other.price, amount });
      order.amount -= amount;
      other.amount -= amount;
      if (other.amount === 0) this.#orders.delete(other.id);
    }
    if (order.amount > 0) this.#orders.set(order.id, order);
    return trades;
  }

  /** Whom an order trades with: the best price, and who was there first. @param {Order} order */
  #best({ side, price, amount }) {
    const sign = side === 'buy' ? 1 : -1;
    let best;
    for (const other of this.#orders.values()) {
      if (amount === 0 || other.side === side || (price - other.price) * sign < 0) continue;
      if (best === undefined || (best.price - other.price) * sign > 0) best = other;
    }
    return best;
  }

  get orders() {
    return [...this.#orders.values()];
  }

  /** @param {Order[]} orders */
  static of(orders) {
    const book = new Book();
    for (const order of orders) book.#orders.set(order.id, order);
    return book;
  }
}
