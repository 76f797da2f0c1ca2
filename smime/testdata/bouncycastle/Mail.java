import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.util.*;
import javax.activation.*;
import javax.mail.*;
import javax.mail.internet.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.mail.smime.*;
import org.bouncycastle.operator.jcajce.*;

// The whole message as a Java product does it: javax.mail reads and writes the messages, Bouncy Castle's S/MIME
// classes sign and encrypt, decrypt and verify them. Messages come from memory; keys and certificates are read once.
class Mail {
    static final Session session = Session.getInstance(new Properties());
    static final Map<String, Object> kept = new HashMap<>();
    static boolean discard; // timed runs write nowhere

    static {
        MailcapCommandMap m = (MailcapCommandMap) CommandMap.getDefaultCommandMap();
        for (String[] h : new String[][] {{"application/pkcs7-signature", "pkcs7_signature"}, {"application/pkcs7-mime", "pkcs7_mime"},
                {"application/x-pkcs7-signature", "x_pkcs7_signature"}, {"application/x-pkcs7-mime", "x_pkcs7_mime"}, {"multipart/signed", "multipart_signed"}})
            m.addMailcap(h[0] + ";; x-java-content-handler=org.bouncycastle.mail.smime.handlers." + h[1]);
        CommandMap.setDefaultCommandMap(m);
    }

    interface Read { Object get() throws Exception; }

    @SuppressWarnings("unchecked")
    static <T> T keep(String name, Read r) throws Exception {
        if (!kept.containsKey(name)) kept.put(name, r.get());
        return (T) kept.get(name);
    }

    static X509Certificate cert(String f) throws Exception { return keep("cert " + f, () -> Peer.cert(f)); }
    static PrivateKey key(String f, String c) throws Exception { return keep("key " + f, () -> Peer.key(f, cert(c))); }
    static byte[] message(String f) throws Exception { return keep("message " + f, () -> Peer.read(f)); }

    static OutputStream out(String f) throws Exception {
        return discard ? OutputStream.nullOutputStream() : new BufferedOutputStream(new FileOutputStream(f));
    }

    // seal CERT KEY RECIPIENT IN OUT
    static void seal(String[] a) throws Exception {
        byte[] octets = message(a[4]);
        MimeMessage inner = new MimeMessage(session, new ByteArrayInputStream(octets));
        InternetHeaders wrapper = new InternetHeaders();
        wrapper.addHeader("Content-Type", "message/rfc822");
        SMIMESignedGenerator signing = new SMIMESignedGenerator();
        signing.addSignerInfoGenerator(new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC").build("SHA256withRSA", key(a[2], a[1]), cert(a[1])));
        signing.addCertificates(new JcaCertStore(Collections.singletonList(cert(a[1]))));
        MimeMessage signed = new MimeMessage(session);
        signed.setContent(signing.generate(new MimeBodyPart(wrapper, octets)));
        signed.saveChanges();
        SMIMEEnvelopedGenerator encrypting = new SMIMEEnvelopedGenerator();
        encrypting.addRecipientInfoGenerator(Peer.recipient(cert(a[3]), "oaep"));
        MimeBodyPart sealed = encrypting.generate(signed, new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider("BC").build());
        MimeMessage outer = new MimeMessage(session);
        for (String name : new String[] {"From", "To", "Date", "Message-ID"}) {
            String v = inner.getHeader(name, null);
            if (v != null) outer.setHeader(name, v);
        }
        outer.setContent(sealed.getContent(), sealed.getContentType());
        outer.saveChanges();
        try (OutputStream o = out(a[5])) { outer.writeTo(o); }
    }

    // open CERT KEY IN OUT
    static void open(String[] a) throws Exception {
        MimeMessage outer = new MimeMessage(session, new ByteArrayInputStream(message(a[3])));
        RecipientInformation r = new SMIMEEnveloped(outer).getRecipientInfos().get(new JceKeyTransRecipientId(cert(a[1])));
        MimeBodyPart plain = SMIMEUtil.toMimeBodyPart(r.getContent(new JceKeyTransEnvelopedRecipient(key(a[2], a[1])).setProvider("BC")));
        SMIMESigned signed = new SMIMESigned((MimeMultipart) plain.getContent());
        int good = 0;
        for (SignerInformation s : signed.getSignerInfos().getSigners())
            for (Object h : signed.getCertificates().getMatches(s.getSID()))
                if (s.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build((org.bouncycastle.cert.X509CertificateHolder) h))) good++;
        if (good == 0) throw new CMSException("no signer verifies");
        byte[] buf = new byte[65536];
        try (InputStream in = signed.getContent().getRawInputStream(); OutputStream o = out(a[4])) {
            for (int n; (n = in.read(buf)) > 0; ) o.write(buf, 0, n);
        }
    }
}
