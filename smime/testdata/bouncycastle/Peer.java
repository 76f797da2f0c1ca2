import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;

// One line of standard input is one job, its words separated by tabs; one line of output answers it:
// "ok", or "cannot" and why. Files are DER. A line "time N" repeats the last job N times and answers
// the nanoseconds of one, by the clock and of the processors (all threads: collector and compiler too).
public class Peer {
    interface Job { void run() throws Exception; }

    static byte[] read(String f) throws IOException { return Files.readAllBytes(Paths.get(f)); }

    static X509Certificate cert(String f) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(new ByteArrayInputStream(read(f)));
    }

    static PrivateKey key(String f, X509Certificate c) throws Exception {
        String alg = c.getPublicKey().getAlgorithm();
        return KeyFactory.getInstance(alg, "BC").generatePrivate(new PKCS8EncodedKeySpec(read(f)));
    }

    // sign CERT KEY ALGORITHM encapsulate IN OUT
    static void sign(String[] a) throws Exception {
        X509Certificate c = cert(a[1]);
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        ContentSigner s = new JcaContentSignerBuilder(a[3]).setProvider("BC").build(key(a[2], c));
        g.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build()).build(s, c));
        g.addCertificate(new JcaX509CertificateHolder(c));
        CMSSignedData d = g.generate(new CMSProcessableByteArray(read(a[5])), a[4].equals("true"));
        Files.write(Paths.get(a[6]), d.getEncoded());
    }

    // verify SIGNATURE CONTENT
    static void verify(String[] a) throws Exception {
        CMSSignedData d = new CMSSignedData(new CMSProcessableByteArray(read(a[2])), read(a[1]));
        int good = 0;
        for (SignerInformation s : d.getSignerInfos().getSigners()) {
            for (Object h : d.getCertificates().getMatches(s.getSID())) {
                X509Certificate c = new JcaX509CertificateConverter().setProvider("BC").getCertificate((org.bouncycastle.cert.X509CertificateHolder) h);
                if (s.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(c.getPublicKey()))) good++;
            }
        }
        if (good == 0) throw new CMSException("no signer verifies");
    }

    // encrypt CIPHER TRANSPORT IN OUT CERT...
    static void encrypt(String[] a) throws Exception {
        ASN1ObjectIdentifier cipher = new ASN1ObjectIdentifier(a[1]);
        boolean gcm = a[1].endsWith(".6") || a[1].endsWith(".46");
        List<RecipientInfoGenerator> rs = new ArrayList<>();
        for (int i = 5; i < a.length; i++) rs.add(recipient(cert(a[i]), a[2]));
        OutputEncryptor e = new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
        byte[] out;
        if (gcm) {
            CMSAuthEnvelopedDataGenerator g = new CMSAuthEnvelopedDataGenerator();
            for (RecipientInfoGenerator r : rs) g.addRecipientInfoGenerator(r);
            out = g.generate(new CMSProcessableByteArray(read(a[3])), (OutputAEADEncryptor) e).getEncoded();
        } else {
            CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
            for (RecipientInfoGenerator r : rs) g.addRecipientInfoGenerator(r);
            out = g.generate(new CMSProcessableByteArray(read(a[3])), e).getEncoded();
        }
        Files.write(Paths.get(a[4]), out);
    }

    static RecipientInfoGenerator recipient(X509Certificate c, String transport) throws Exception {
        if (c.getPublicKey().getAlgorithm().equals("RSA")) {
            if (transport.equals("pkcs1")) return new JceKeyTransRecipientInfoGenerator(c).setProvider("BC");
            String h = transport.equals("oaep-sha256") ? "SHA-256" : "SHA-1";
            MGF1ParameterSpec m = new MGF1ParameterSpec(h);
            AlgorithmIdentifier id = new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(
                org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_RSAES_OAEP,
                new javax.crypto.spec.OAEPParameterSpec(h, "MGF1", m, javax.crypto.spec.PSource.PSpecified.DEFAULT));
            return new JceKeyTransRecipientInfoGenerator(c, id).setProvider("BC");
        }
        boolean x = c.getPublicKey().getAlgorithm().startsWith("X");
        KeyPairGenerator g = KeyPairGenerator.getInstance(x ? "X25519" : "EC", "BC");
        if (!x) g.initialize(((java.security.interfaces.ECPublicKey) c.getPublicKey()).getParams());
        KeyPair eph = g.generateKeyPair();
        JceKeyAgreeRecipientInfoGenerator r = new JceKeyAgreeRecipientInfoGenerator(
            CMSAlgorithm.ECDH_SHA256KDF, eph.getPrivate(), eph.getPublic(), CMSAlgorithm.AES256_WRAP);
        r.addRecipient(c);
        return r.setProvider("BC");
    }

    // decrypt CERT KEY IN OUT
    static void decrypt(String[] a) throws Exception {
        X509Certificate c = cert(a[1]);
        PrivateKey k = key(a[2], c);
        byte[] in = read(a[3]);
        boolean auth = org.bouncycastle.asn1.cms.ContentInfo.getInstance(in).getContentType().equals(org.bouncycastle.asn1.cms.CMSObjectIdentifiers.authEnvelopedData);
        RecipientInformationStore store = auth ? new CMSAuthEnvelopedData(in).getRecipientInfos() : new CMSEnvelopedData(in).getRecipientInfos();
        RecipientInformation r = null;
        for (RecipientInformation i : store.getRecipients(new JceKeyTransRecipientId(c))) r = i;
        for (RecipientInformation i : store.getRecipients(new JceKeyAgreeRecipientId(c))) r = i;
        if (r == null) throw new CMSException("no recipient");
        byte[] out;
        if (r instanceof KeyTransRecipientInformation) {
            out = auth ? r.getContent(new JceKeyTransAuthEnvelopedRecipient(k).setProvider("BC")) : r.getContent(new JceKeyTransEnvelopedRecipient(k).setProvider("BC"));
        } else {
            out = r.getContent(new JceKeyAgreeEnvelopedRecipient(k).setProvider("BC"));
        }
        Files.write(Paths.get(a[4]), out);
    }

    static void dispatch(String[] a) throws Exception {
        switch (a[0]) {
            case "sign": sign(a); break;
            case "verify": verify(a); break;
            case "encrypt": encrypt(a); break;
            case "decrypt": decrypt(a); break;
            case "sealmail": Mail.seal(a); break;
            case "openmail": Mail.open(a); break;
            default: throw new IllegalArgumentException(a[0]);
        }
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String[] last = null;
        for (String line; (line = in.readLine()) != null; ) {
            String[] a = line.split("\t");
            try {
                if (a[0].equals("time")) {
                    int n = Integer.parseInt(a[1]);
                    Mail.discard = true;
                    com.sun.management.OperatingSystemMXBean os = (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
                    long start = System.nanoTime(), cpu = os.getProcessCpuTime();
                    for (int i = 0; i < n; i++) dispatch(last);
                    System.out.println("ok " + (System.nanoTime() - start) / n + " " + (os.getProcessCpuTime() - cpu) / n);
                    Mail.discard = false;
                } else {
                    dispatch(last = a);
                    System.out.println("ok");
                }
            } catch (Throwable t) {
                Throwable root = t;
                while (root.getCause() != null) root = root.getCause();
                System.out.println("cannot " + (t.getClass().getSimpleName() + ": " + t.getMessage() + " / " + root).replace('\n', ' '));
            }
            System.out.flush();
        }
    }
}
