# Several issuances at the same time, in every way that a server may run them; also under ThreadSanitizer.
culmen_test(integration_concurrency SOURCES concurrency_test.cpp
  LINKS culmen_testca culmen_culmen culmen_core LABELS threads)
