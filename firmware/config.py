"""The configuration: config.json on the board's filesystem over the frozen defaults.

Only what differs from the defaults is in the file. A bad file is not used. The last good copy
is used instead, or else the defaults, and `faults` lists what was wrong. A new file is written beside the old one
and renamed over it, so that there is always a whole one.
"""

from firmware import borrow


class ConfigError(ValueError):
    """The faults of a configuration: its `args`, one text each."""

    def __str__(self):
        return "; ".join(self.args)


def _defaults():
    """The module that describes every key; it is loaded for one use and forgotten."""
    return borrow("firmware.defaults", "firmware.schema")


class Config:
    """The settings: `config["telemetry"]["port"]`."""

    def __init__(self, board, log):
        self._board = board
        self._log = log
        self.given = {}  # only what differs from the defaults
        self._values = None  # filled when first needed
        self.source = "defaults"
        self.faults = []
        self.unsaved = False
        self.safe = False  # settings that may lock the owner out have their defaults

    def __getitem__(self, section):
        return self._values_now()[section]

    def load(self):
        """Use the file, or the last good copy if it is bad; never raises."""
        borrow("firmware.config_file").load(self, self._board, self._log)

    def use(self, given, source, check=None):
        """Use these values from the file `source`. Raises ConfigError, or what check(values) raises."""
        defaults = _defaults()
        values = defaults.fill(given)
        if check:
            check(values)
        self._values = defaults.safe(values) if self.safe else values
        self.given = given
        self.source = source

    def _values_now(self):
        if self._values is None:
            self.use({}, "defaults")
        return self._values

    def get(self, key=""):
        """The value of "section.key" (all of them for ""), its secrets hidden. Raises ConfigError."""
        schema = _defaults().SCHEMA
        return self._find(schema.show(schema.fill(self.given)), key)

    def _find(self, value, key):
        for part in key.split(".") if key else ():
            try:
                value = value[int(part) if isinstance(value, list) else part]
            except (KeyError, ValueError, IndexError, TypeError):
                raise ConfigError(f"{key[:40]}: there is no such key") from None
        return value

    def set(self, key, value, check=None):
        """Change "section.key" in memory. Raises ConfigError for a bad value, or what check(new values) raises, and
        then changes nothing."""
        self.use(borrow("firmware.edit").changed(self.given, key, value), self.source, check)
        self.unsaved = True

    def reset(self, key="", check=None):
        """Back to the default of "section" or "section.key", or of all, in memory. Raises as `set` does."""
        if key:
            self.get(key)
        self.use(borrow("firmware.edit").without(self.given, key) if key else {}, self.source, check)
        self.unsaved = True

    def save(self):
        """Write the settings to the board's filesystem. True if they are on trial from the next boot on. Raises
        OSError, and ConfigError for settings that would lock the owner out."""
        module = borrow("firmware.lockout", "firmware.update.trial", "firmware.config_file")
        on_trial = module.save(self, self.given, self._board, self._log)
        self.faults = []
        self.unsaved = False
        return on_trial
