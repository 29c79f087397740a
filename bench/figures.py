"""Looks up what was measured."""
import statistics


class Figures:
    def __init__(self, cells):
        self.all = cells

    def cells(self, case, ca="pebble", retry_after=0):
        return [cell for cell in self.all if (cell["case"], cell["ca"], cell["retry_after"]) == (case, ca, retry_after)]

    def clients(self, case):
        """Those that have figures for a case against Pebble."""
        return {cell["client"] for cell in self.cells(case) if cell["runs"]}

    def median(self, client, case, key, ca="pebble", in_flight=None):
        """Of one certificate in case e and of the whole case otherwise; None where there is none."""
        for cell in self.cells(case, ca):
            if cell["client"] == client and in_flight in (None, cell["in_flight"]):
                found = [run[key] for run in cell["runs"] if run[key] is not None]
                if not found:
                    return None
                scale = 1 if key == "memory_mib" else (1 if case == "e" else cell["count"]) / cell["certificates"]
                return statistics.median(found) * scale
        return None

    def concurrency(self):
        """{(CA, client): [(in flight, certificates a second, CPU ms a certificate), …]}"""
        lines = {}
        for cell in self.all:
            if cell["case"] == "e" and cell["runs"]:
                wall, cpu = (self.median(cell["client"], "e", key, cell["ca"], cell["in_flight"]) for key in ("wall", "cpu"))
                lines.setdefault((cell["ca"], cell["client"]), []).append((cell["in_flight"], 1 / wall, 1000 * cpu))
        return lines
