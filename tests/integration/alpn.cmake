# tls-alpn-01, IP addresses, ARI, STAR, delegation and authority tokens: culmen's client against the test CA.
culmen_test(integration_alpn SOURCES alpn_test.cpp authority_token_test.cpp delegation_test.cpp star_ari_test.cpp
  LINKS culmen_testca culmen_culmen culmen_core LABELS threads)
