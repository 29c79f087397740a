// Keys and signatures of RFC 7515, 7638, 8032, 8037 and 6979, and texts signed with them.
#pragma once

#include <string>

namespace vectors {

// {"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true} in base64url (RFC 7515 A.1)

inline const std::string payload1 =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

// RFC 7638 §3.1
inline const std::string rfc7638_n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
    "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
    "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
    "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

// RFC 7515 A.2
inline const std::string rs256_n =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR"
    "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia"
    "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

inline const std::string rs256_signature =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9"
    "uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB"
    "_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rq"
    "Vt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

// Made with another implementation
inline const std::string ps256_n =
    "mI5_SKYSZ2c-zxobFjqxpWsZqN17emp3fujMj2fVtP5u2g-2gmAKLawcgEUktVQYznFlLTVGXpVoNSNiauTbB_D2C-3TZmBzw2uU"
    "d5E0JGU13iWz_kGle1I7I2pdKQX4o8g0NZ5C-YVMCTkTkjdrqGh-VqFt2qfGZ8aEpom2-EVtDsdJNmERmDun0hS7RVS0WvPrjJCa"
    "Do1RsEEDgYhBwvJDVbtwM6ZMd3Xhlu6V5Ix6A0uom_WQGEdz_3b6ycTFj-l-u4b7uXuM-KCyv53J1aFUiEHu4nSEb0D_rL1xs6hB"
    "kDFpJrL-mxr0sIvx_gyg1kAUD39jxuShQ37c2ZUP4w";

inline const std::string ps256_signature =
    "kxW-iqLLLUKBUqItpjAPhfw4Cjx0Zpc5aWSlICJsPrBeraETlrzTSUlDzEIQwl7baB96xA4lWq_gwW47VBHefN-GGDX_qrMV2rTn"
    "0faLh9vjckMcQ06Qi8VfpUpryO3OSQMHNhrRHwSJDTgJNLhsRIXHjvMeQ139CJbRoQ-2_Fh3YkHD5MfvH0Kkmv9Ziu_x_i504Wvx"
    "aCJHrS4H0hwX-aHzHvVKg8G76gohES-jIxJgXhB5KddJYlSuh_Ah6B_U8oMKWOhUYK4wliAL7W4seQHS_97NYiv9nUUOKdDl7sNZ"
    "gdvJ7rgH3btrrqKh-CtBxMxtH8ye2E_Wou18bcZcfg";

// RFC 7515 A.3
inline const std::string p256_public =
    R"({"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_)"
    R"(tue659LNpXW6pCyStikYjKIWI5a0"})";

inline const std::string p256_private =
    R"({"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_)"
    R"(tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})";

inline const std::string es256_signature =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

inline const std::string es256_signature_der =
    "304502200ed1215379636c483c2f7f155807d402a3b228033af97c7e17819ac3169ea665022100c50a07d38c3c70e5d8f12d"
    "af084a5480a66590c5f293509a8f3f7f8a83a354d5";

// RFC 6979 A.2.6
inline const std::string p384_public =
    R"({"crv":"P-384","kty":"EC","x":"7DpOQVtOGaRWhhgCn0J_pdqai8SukuAuBqrlKGswDGTe-PDqkFWGYGSiVFFUgLwT")"
    R"(,"y":"gBXZty19VyROqO-awMYhiWcIpZNn-d-59UyoSz8cnbEoiyMcOuDU_nNE_SUzJkcg"})";

inline const std::string p384_private =
    R"({"crv":"P-384","kty":"EC","x":"7DpOQVtOGaRWhhgCn0J_pdqai8SukuAuBqrlKGswDGTe-PDqkFWGYGSiVFFUgLwT")"
    R"(,"y":"gBXZty19VyROqO-awMYhiWcIpZNn-d-59UyoSz8cnbEoiyMcOuDU_nNE_SUzJkcg","d":"a509rS4bjBwFsZh1tmW)"
    R"(fTeI8O2Z78pe6mqR3QHhxN9iW1XJOTHCoJfhyyepg0u31"})";

inline const std::string es384_signature_of_sample =
    "lO27kqXsuKrUc25WxpGRaz-IFAZmzp-nPWTE6pWtEzyBpkgVLkSs-W423R6A-r5Gme9K6xXxeM6h_kDbJgMTjxMOdAoZYkUmIDtj"
    "UdCjqU-jKcFFeG5nnnuCxxo4YorI";

// RFC 7515 A.4; y starts with a zero octet
inline const std::string p521_public =
    R"({"crv":"P-521","kty":"EC","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLF)"
    R"(V1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd)"
    R"(0AZMaZmh9ubmf63e3kyMj2"})";

inline const std::string p521_private =
    R"({"crv":"P-521","kty":"EC","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLF)"
    R"(V1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd)"
    R"(0AZMaZmh9ubmf63e3kyMj2","d":"AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhaj)"
    R"(nu0ferB0d53vM9mE15j2C"})";

inline const std::string es512_signature =
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCA"
    "PZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

// RFC 8037 A.1: called K1 below
inline const std::string k1_public =
    R"({"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";

inline const std::string k1_private =
    R"({"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6)"
    R"(hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"})";

inline const std::string k1_signature =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

// RFC 8032 §7.1 test 2: called K2 below
inline const std::string k2_public =
    R"({"crv":"Ed25519","kty":"OKP","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"})";

inline const std::string k2_private =
    R"({"crv":"Ed25519","kty":"OKP","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","d":"TM0Imyj_ltqd)"
    R"(tsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs"})";

// RFC 8032 §7.4, blank
inline const std::string ed448_public =
    R"({"crv":"Ed448","kty":"OKP","x":"X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s)"
    R"(0foavq_oJWGA"})";

inline const std::string ed448_private =
    R"({"crv":"Ed448","kty":"OKP","x":"X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s)"
    R"(0foavq_oJWGA","d":"bIKlYsuAjRDWMr6JyFE-v2ySnzTd-oyfY8mWDvbjSKNSjIo_zC8ETjmj_FuUSS-PAy51SaIAmPlb")"
    R"(})";

inline const std::string ed448_signature =
    "wW3QG5pxlbrl9796GM2Qj9-MQq3jDHjsK2qqqtr9Q0ihOxa0OCRBzy4zbFnaQk-s6xvjcRnRaDIAR4oP1CIeu-wQpEzyTYHE4bXP"
    "6uhQXLTkJzjEW_5OyLX3_BdsvrFcWfncU3KgI24y1ShgnvigBA4A";

// Requests signed by K1, made with another implementation
inline const std::string new_account_request =
    R"({"protected":"eyJhbGciOiJFZERTQSIsImp3ayI6eyJjcnYiOiJFZDI1NTE5Iiwia3R5IjoiT0tQIiwieCI6IjExcVlBWU)"
    R"(t4Q3JmVlNfN1R5V1FIT2c3aGN2UGFwaU1scndJYWFQY0hVUm8ifSwibm9uY2UiOiJibTl1WTJVd01RIiwidXJsIjoiaHR0cH)"
    R"(M6Ly9jYS50ZXN0L2FjbWUvbmV3LWFjY291bnQifQ","payload":"eyJ0ZXJtc09mU2VydmljZUFncmVlZCI6dHJ1ZX0","s)"
    R"(ignature":"dEkbrfhvhmx16X-IQrhglwvkVEhXXrf2qDtM1AAK-odwehBjynoinoVedrhOlj4DsVdwtEZUo6YaZTfd9LdLA)"
    R"(g"})";

inline const std::string post_as_get_request =
    R"({"protected":"eyJhbGciOiJFZERTQSIsImtpZCI6Imh0dHBzOi8vY2EudGVzdC9hY21lL2FjY3QvMSIsIm5vbmNlIjoiYm)"
    R"(05dVkyVXdNZyIsInVybCI6Imh0dHBzOi8vY2EudGVzdC9hY21lL29yZGVyLzcifQ","payload":"","signature":"Tho4)"
    R"(6eaWAXFpvZNSLXXUCs2nyciT6M7mctvVbCq5rKEHhifcnxdOgqQXgVtcncjRX9Ku3gX3JX6eHtcHCRQuAg"})";

inline const std::string key_change_inner =
    R"({"protected":"eyJhbGciOiJFZERTQSIsImp3ayI6eyJjcnYiOiJFZDI1NTE5Iiwia3R5IjoiT0tQIiwieCI6IlBVQVh3LW)"
    R"(hEaVZxU3R3cW5UUnQtdkp5WUxNOHV4SmFNd00xVjhTcjBaZ3cifSwidXJsIjoiaHR0cHM6Ly9jYS50ZXN0L2FjbWUva2V5LW)"
    R"(NoYW5nZSJ9","payload":"eyJhY2NvdW50IjoiaHR0cHM6Ly9jYS50ZXN0L2FjbWUvYWNjdC8xIiwib2xkS2V5Ijp7ImNyd)"
    R"(iI6IkVkMjU1MTkiLCJrdHkiOiJPS1AiLCJ4IjoiMTFxWUFZS3hDcmZWU183VHlXUUhPZzdoY3ZQYXBpTWxyd0lhYVBjSFVSb)"
    R"(yJ9fQ","signature":"-8Z6Ayi2oSQJHdOJCNkdMOTZ82oDnCk4mxhR3Uad0_1Wb6bUJoPF8u0sXg86nHy8S7awVrLjnSAR)"
    R"(qdbL1nARDw"})";

inline const std::string trigger_signature =
    "-YiVrh4H8BH1fYZC6w-CaKnJaIDEDO3e-WnRFbafW_yZ6gJXu2GoZsBLyZTrtlRGcKWGCWyupb9Xl6xZyEeDCw";

inline const std::string key_change_outer_protected =
    "eyJhbGciOiJFZERTQSIsImtpZCI6Imh0dHBzOi8vY2EudGVzdC9hY21lL2FjY3QvMSIsIm5vbmNlIjoiYm05dVkyVXdNdyIsInVy"
    "bCI6Imh0dHBzOi8vY2EudGVzdC9hY21lL2tleS1jaGFuZ2UifQ";

inline const std::string key_change_outer_signature =
    "tsrMKWmo1tqNETdUNfI8vbfjIns7PidXLuq65EFA3T2HqzGvKz-yK3XSXg6vLotsHNhiMj050YLbjfq5tXp4Bw";

inline const std::string eab_payload =
    "eyJjcnYiOiJFZDI1NTE5Iiwia3R5IjoiT0tQIiwieCI6IjExcVlBWUt4Q3JmVlNfN1R5V1FIT2c3aGN2UGFwaU1scndJYWFQY0hV"
    "Um8ifQ";

inline const std::string eab_hs256_protected =
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS50ZXN0L2FjbWUvbmV3LWFjY291bnQifQ";

inline const std::string eab_hs256_signature = "3f7l-sOjJhXzkZ5VpyIyhKNs014FmuplEyCoEI0uUeg";

inline const std::string eab_hs384_protected =
    "eyJhbGciOiJIUzM4NCIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS50ZXN0L2FjbWUvbmV3LWFjY291bnQifQ";

inline const std::string eab_hs384_signature = "DsdSA1H4hNcN8v4-27QY7ZKJXrr8oy2sFabYfPDI95SZeM0mmOUnnp5XMZm6DWzG";

inline const std::string eab_hs512_protected =
    "eyJhbGciOiJIUzUxMiIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS50ZXN0L2FjbWUvbmV3LWFjY291bnQifQ";

inline const std::string eab_hs512_signature =
    "dM7CWw4weqCgarZ6QAVshYHFAQW4wvwHYfuSVpe9gz3SYdCSqaA-IcHi_-384Sat5r6F-iG6Dhaz9TKFUzmT9A";

}  // namespace vectors
