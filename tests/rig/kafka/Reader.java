// An independent look at a broker, on Kafka's own client: the records of a topic as read_committed
// consumers see them, or what a group has committed, as JSON lines on stdout. It deliberately shares
// nothing with the product's client.
//
//   Reader BOOTSTRAP records TOPIC...  {"topic","partition","offset","timestamp","key","value","headers"}
//                                      (base64 or null)
//   Reader BOOTSTRAP offsets GROUP     {"topic","partition","offset","metadata"}

import java.io.BufferedWriter;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Reader {
  private static final PrintWriter OUT =
      new PrintWriter(
          new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8)));

  public static void main(String[] args) throws Exception {
    if (args.length < 3) {
      System.err.println("usage: Reader BOOTSTRAP records TOPIC... | offsets GROUP");
      System.exit(64);
    }
    if (args[1].equals("records")) {
      records(args[0], Arrays.asList(args).subList(2, args.length));
    } else {
      offsets(args[0], args[2]);
    }
    OUT.flush();
  }

  private static void records(String bootstrap, List<String> topics) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", false);
    settings.put("max.poll.records", 5000);
    try (var consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (String topic : topics) {
        List<PartitionInfo> found = consumer.partitionsFor(topic);
        if (found.isEmpty()) {
          throw new IllegalArgumentException("there is no topic " + topic);
        }
        found.forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
      }
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      // Under read_committed this is the last stable offset; a position passes control records too.
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          if (record.offset() < ends.get(new TopicPartition(record.topic(), record.partition()))) {
            print(record);
          }
        }
      }
    }
  }

  private static void print(ConsumerRecord<byte[], byte[]> record) {
    StringBuilder headers = new StringBuilder();
    for (Header header : record.headers()) {
      headers.append(headers.length() == 0 ? "" : ",");
      headers.append('[').append(text(header.key())).append(',').append(base64(header.value()));
      headers.append(']');
    }
    OUT.printf(
        "{\"topic\":%s,\"partition\":%d,\"offset\":%d,\"timestamp\":%d,\"key\":%s,\"value\":%s,\"headers\":[%s]}%n",
        text(record.topic()),
        record.partition(),
        record.offset(),
        record.timestamp(),
        base64(record.key()),
        base64(record.value()),
        headers);
  }

  private static void offsets(String bootstrap, String group) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      Map<TopicPartition, OffsetAndMetadata> offsets =
          admin
              .listConsumerGroupOffsets(group, new ListConsumerGroupOffsetsOptions().requireStable(true))
              .partitionsToOffsetAndMetadata()
              .get();
      offsets.forEach(
          (partition, committed) -> {
            if (committed != null) {
              OUT.printf(
                  "{\"topic\":%s,\"partition\":%d,\"offset\":%d,\"metadata\":%s}%n",
                  text(partition.topic()),
                  partition.partition(),
                  committed.offset(),
                  text(committed.metadata()));
            }
          });
    }
  }

  private static String base64(byte[] bytes) {
    return bytes == null ? "null" : '"' + Base64.getEncoder().encodeToString(bytes) + '"';
  }

  private static String text(String text) {
    StringBuilder json = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        json.append('\\').append(c);
      } else if (c < ' ') {
        json.append(String.format("\\u%04x", (int) c));
      } else {
        json.append(c);
      }
    }
    return json.append('"').toString();
  }
}
