/** The dashboard begins here. */
import { render } from "preact"
import { App } from "./App.js"
import * as Activity from "./overview/Activity.js"
import * as Router from "./Router.js"
import * as Live from "./server/Live.js"

// first of all: the token is out of the address before anything else happens
Router.start()
Activity.start()
Live.start()

const root = document.getElementById("app")
if (root !== null) render(<App />, root)
