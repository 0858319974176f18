const { create } = require("./lib/app");

const server = create().listen(process.env.PORT || 3000, () => {
  console.log(`listening on port ${server.address().port}`);
});

// Finish what is being answered, then end: how a platform stops a process.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
