import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Set;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaCertStoreBuilder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** Checks and makes CMS as told by lines of a file, one answer line each. Used by verifiers.py only. */
public final class BouncyCastlePeer {
    private BouncyCastlePeer() {}

    /** Every signer's value fits, and its certificate has a path to the root. */
    private static boolean verify(Path part, Path cms, Path root) throws Exception {
        CMSSignedData data =
                new CMSSignedData(new CMSProcessableByteArray(Files.readAllBytes(part)), Files.readAllBytes(cms));
        X509Certificate anchor;
        try (FileInputStream in = new FileInputStream(root.toFile())) {
            anchor = (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(in);
        }
        CertStore store = new JcaCertStoreBuilder().setProvider("BC").addCertificates(data.getCertificates()).build();
        if (data.getSignerInfos().size() == 0) {
            return false;
        }
        for (SignerInformation signer : data.getSignerInfos().getSigners()) {
            X509CertificateHolder leaf =
                    (X509CertificateHolder) data.getCertificates().getMatches(signer.getSID()).iterator().next();
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(leaf))) {
                return false;
            }
            X509CertSelector selector = new X509CertSelector();
            selector.setSerialNumber(leaf.getSerialNumber());
            selector.setIssuer(leaf.getIssuer().getEncoded());
            PKIXBuilderParameters wanted =
                    new PKIXBuilderParameters(Set.of(new TrustAnchor(anchor, null)), selector);
            wanted.addCertStore(store);
            wanted.setRevocationEnabled(false);
            CertPathBuilder.getInstance("PKIX", "BC").build(wanted);
        }
        return true;
    }

    private static void sign(Path part, Path p12, String secret, Path out, String algorithm, boolean inside)
            throws Exception {
        KeyStore keys = KeyStore.getInstance("PKCS12", "BC");
        try (FileInputStream in = new FileInputStream(p12.toFile())) {
            keys.load(in, secret.toCharArray());
        }
        String alias = keys.aliases().nextElement();
        PrivateKey key = (PrivateKey) keys.getKey(alias, secret.toCharArray());
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(
                new JcaSignerInfoGeneratorBuilder(
                                new JcaDigestCalculatorProviderBuilder().setProvider("BC").build())
                        .build(
                                new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key),
                                (X509Certificate) keys.getCertificate(alias)));
        generator.addCertificates(new JcaCertStore(Arrays.asList(keys.getCertificateChain(alias))));
        CMSSignedData signed = generator.generate(new CMSProcessableByteArray(Files.readAllBytes(part)), inside);
        Files.write(out, signed.getEncoded());
    }

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] word = line.split("\t");
            try {
                if (word[0].equals("verify")) {
                    System.out.println(
                            verify(Path.of(word[1]), Path.of(word[2]), Path.of(word[3])) ? "good" : "bad signature");
                } else {
                    sign(
                            Path.of(word[1]),
                            Path.of(word[2]),
                            word[3],
                            Path.of(word[4]),
                            word[5],
                            word[6].equals("inside"));
                    System.out.println("good");
                }
            } catch (Exception error) {
                System.out.println("bad " + error.toString().replace('\n', ' '));
            }
        }
    }
}
