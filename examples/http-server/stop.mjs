// npm stop: ends the server and waits until it is gone, with all of its workers.

import { doublefork, NAME } from './doublefork.mjs';

doublefork('stop', NAME);
