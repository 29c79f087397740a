"""What the figures are to be, and whether they are."""

AT_16 = 16


def judge(figures, micro):
    """[{"what", "aim", "value", "met", "by"}]; met is None where it was not measured."""
    judged = [judged_case for case in "ab" for judged_case in one_certificate(figures, case)]
    judged += hundred_names(figures) + one_after_another(figures)
    judged += [aim for ca, name in (("pebble", "Pebble"), ("test-ca", "test CA")) for aim in in_flight(figures, ca, name)]
    return judged + [aim for row in micro for aim in microbenchmark(row)]


def one_certificate(figures, case):
    culmen = {key: figures.median("culmen", case, key) for key in ("wall", "cpu", "memory_mib", "requests")}
    others = [figures.median(client, case, "wall") for client in figures.clients(case) - {"culmen", "acmez"}]
    yield at_most(f"({case}) time ÷ acmez's", quotient(culmen["wall"], figures.median("acmez", case, "wall")), 1)
    yield at_least(f"({case}) the next program's time ÷ culmen's", quotient(min(others, default=None), culmen["wall"]), 15)
    yield at_most(f"({case}) CPU ÷ lego's", quotient(culmen["cpu"], figures.median("lego", case, "cpu")), 0.5)
    yield at_most(f"({case}) peak memory ÷ lego's", quotient(culmen["memory_mib"], figures.median("lego", case, "memory_mib")), 0.5)
    yield at_most(f"({case}) requests", culmen["requests"], {"a": 10, "b": 9}[case])


def hundred_names(figures):
    def against_acmez(key):
        return quotient(figures.median("culmen", "c", key), figures.median("acmez", "c", key))

    return [at_most("(c) time ÷ acmez's", against_acmez("wall"), 0.5), at_most("(c) CPU ÷ acmez's", against_acmez("cpu"), 0.5),
            at_most("(c) requests", figures.median("culmen", "c", "requests"), 225)]


def one_after_another(figures):
    def of(client, key):
        return figures.median(client, "d", key)

    return [at_least("(d) certificates a second ÷ acmez's", quotient(of("acmez", "wall"), of("culmen", "wall")), 2),
            at_most("(d) CPU ÷ acmez's", quotient(of("culmen", "cpu"), of("acmez", "cpu")), 0.5)]


def in_flight(figures, ca, name):
    def of(client, key):
        return figures.median(client, "e", key, ca, AT_16)

    return [at_least(f"(e) {AT_16} in flight, {name}: certificates a second ÷ acmez's", quotient(of("acmez", "wall"), of("culmen", "wall")), 1.2),
            at_most(f"(e) {AT_16} in flight, {name}: CPU a certificate ÷ acmez's", quotient(of("culmen", "cpu"), of("acmez", "cpu")), 0.5),
            at_least(f"(e) {AT_16} in flight, {name}: the CA's CPU ÷ culmen's", quotient(of("culmen", "ca_cpu"), of("culmen", "cpu")), 1)]


def microbenchmark(row):
    if row["at_most"] is not None:
        yield at_most(row["what"], row["value"], row["at_most"], row["unit"])
    if row["at_least"] is not None:
        yield at_least(row["what"], row["value"], row["at_least"], row["unit"])


def at_most(what, value, limit, unit=""):
    return aim(what, "at most", value, limit, unit, value is not None and value <= limit)


def at_least(what, value, limit, unit=""):
    return aim(what, "at least", value, limit, unit, value is not None and value >= limit)


def aim(what, words, value, limit, unit, met):
    wanted = f"{words} {limit:g} {unit}".strip()
    if value is None:
        return {"what": what, "aim": wanted, "value": "-", "met": None, "by": ""}
    by = f"{abs(value / limit - 1):.0%} {'above' if value > limit else 'below'}" if value != limit else ""
    return {"what": what, "aim": wanted, "value": f"{value:.3g} {unit}".strip(), "met": met, "by": by}


def quotient(above, below):
    return above / below if above is not None and below else None
