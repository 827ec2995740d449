# Nhãn màu ngay khi thư vào hộp thư / colored tags as mail is delivered (RFC 5228, RFC 5232).
#
#   sievec /etc/dovecot/gateway-tags.sieve          # once, as root: users cannot compile it
#   sieve_before = /etc/dovecot/gateway-tags.sieve  # see 90-gateway.conf
#
# Sieve không kiểm được dấu niêm: công thức này chỉ đúng khi mọi đường khác gỡ các trường của ta
# (config/postfix/gateway_header_checks). "gateway mailbox watch" kiểm dấu niêm, và gỡ nhãn không đúng.
# Sieve cannot check a seal: this is only right where every path that passes the gateway by strips our fields
# (config/postfix/gateway_header_checks). "gateway mailbox watch" checks seals, and takes wrong tags off.
require ["imap4flags", "relational", "comparator-i;ascii-numeric"];

# Hai trường là giả mạo; không có dấu niêm là không phải của ta / two fields are a forgery; without a seal it is not ours.
if allof (header :count "eq" :comparator "i;ascii-numeric" "X-Gateway-Verdict" "1",
          header :count "eq" :comparator "i;ascii-numeric" "X-Gateway-Seal" "1") {
    if header :matches "X-Gateway-Verdict"
              ["*notes=*impersonation*", "*notes=*lookalike_domain*", "*notes=*tag_words*"] {
        addflag "$Impersonation";
    } elsif header :matches "X-Gateway-Verdict" "verified;*" {
        addflag "$VerifiedAgency";
    } elsif header :matches "X-Gateway-Verdict" "verified_lesser;*" {
        addflag "$VerifiedLesser";
    }
    if header :matches "X-Gateway-Verdict" ["invalid;*", "signer_mismatch;*", "not_trusted;*", "replayed;*"] {
        addflag "$SignatureInvalid";
    } elsif header :matches "X-Gateway-Verdict" "partial;*" {
        addflag "$SignaturePartial";
    } elsif header :matches "X-Gateway-Verdict" ["indeterminate;*", "unreadable;*", "encrypted;*"] {
        addflag "$SignatureUnknown";
    }
}
