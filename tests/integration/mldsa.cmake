# ML-DSA from end to end; where OpenSSL has it.
if(OPENSSL_VERSION VERSION_GREATER_EQUAL 3.5)
  culmen_test(integration_mldsa SOURCES mldsa_test.cpp LINKS culmen_testca culmen_culmen culmen_core LABELS mldsa)
endif()
