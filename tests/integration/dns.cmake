# DNS challenges and onion services, from the client to a CA that asks a real DNS server and reads real CSRs.
culmen_test(integration_dns SOURCES dns_test.cpp onion_test.cpp LINKS culmen_testca culmen_culmen culmen_core LABELS threads)
